//! Keys and certificates in PEM form, from files or from the settings themselves (KIP-651).
//!
//! A key store is one file with the private key (PKCS#8, also encrypted) and the certificate chain; a trust store holds
//! certificates. Java's own store formats are refused with the way to convert them.

use std::{fs, path::Path};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::config::Secret;

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Why keys or certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    #[error(
        "{setting}={found} is not supported, set it to PEM; `keytool -importkeystore -srckeystore old.jks -destkeystore \
         store.p12 -deststoretype PKCS12` and `openssl pkcs12 -in store.p12 -out store.pem` convert a store"
    )]
    Type { setting: &'static str, found: String },
    #[error("neither {location} nor {inline} is set")]
    Missing { location: &'static str, inline: &'static str },
    #[error("{setting}: cannot read {path}: {problem}")]
    Read { setting: &'static str, path: String, problem: String },
    #[error("{setting}: {problem}")]
    Pem { setting: &'static str, problem: String },
    #[error("{setting} holds no certificate")]
    NoCertificate { setting: &'static str },
    #[error("{setting} holds no private key in PKCS#8 form (-----BEGIN PRIVATE KEY-----)")]
    NoKey { setting: &'static str },
    #[error("{setting}: the private key is encrypted, and ssl.key.password {problem}")]
    Encrypted { setting: &'static str, problem: &'static str },
    #[error("{setting}: certificate {index} cannot be trusted: {problem}")]
    Untrusted { setting: &'static str, index: usize, problem: String },
    #[error("{problem}")]
    Rejected { problem: String },
}

/// Refuses the store types that are not PEM.
pub(crate) fn check_type(setting: &'static str, found: &str) -> Result<(), StoreError> {
    if found.eq_ignore_ascii_case("PEM") { Ok(()) } else { Err(StoreError::Type { setting, found: found.to_owned() }) }
}

/// The text of a file, not larger than anybody's certificates are.
pub(crate) fn read(setting: &'static str, path: &str) -> Result<String, StoreError> {
    let failed = |problem: String| StoreError::Read { setting, path: path.to_owned(), problem };
    let size = fs::metadata(Path::new(path)).map_err(|error| failed(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(format!("{size} bytes are more than a PEM file has")));
    }
    fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

/// All certificates in a text.
pub(crate) fn certificates(setting: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let found = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| StoreError::Pem { setting, problem: error.to_string() })?;
    if found.is_empty() { Err(StoreError::NoCertificate { setting }) } else { Ok(found) }
}

/// The private key in a text.
pub(crate) fn private_key(
    setting: &'static str,
    text: &str,
    password: Option<&Secret>,
) -> Result<PrivateKeyDer<'static>, StoreError> {
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        let password = password.ok_or(StoreError::Encrypted { setting, problem: "is not set" })?;
        return decrypt(setting, text, password);
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => StoreError::NoKey { setting },
        other => StoreError::Pem { setting, problem: other.to_string() },
    })
}

fn decrypt(setting: &'static str, text: &str, password: &Secret) -> Result<PrivateKeyDer<'static>, StoreError> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let begin = text.find(BEGIN).ok_or(StoreError::NoKey { setting })?;
    let section = text.get(begin..).unwrap_or_default();
    let end = section.find(END).ok_or(StoreError::NoKey { setting })?;
    let section = section.get(..end + END.len()).unwrap_or_default();
    let problem = |problem: String| StoreError::Pem { setting, problem };
    let (_, document) = pkcs8::SecretDocument::from_pem(section).map_err(|error| problem(error.to_string()))?;
    let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let encrypted = encrypted.map_err(|error| problem(error.to_string()))?;
    let decrypted = encrypted.decrypt(password.reveal());
    let decrypted =
        decrypted.map_err(|_| StoreError::Encrypted { setting, problem: "does not open it (PBES2 is supported)" })?;
    Ok(PrivateKeyDer::Pkcs8(decrypted.as_bytes().to_vec().into()))
}

/// The certificates that others' are checked against.
pub(crate) fn roots(setting: &'static str, text: &str) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(setting, text)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|error| StoreError::Untrusted { setting, index, problem: error.to_string() })?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use riverrun_core::sasl::base64_encode;

    use super::*;

    const SETTING: &str = "ssl.keystore.location";

    proptest! {
        #[test]
        fn any_section_is_taken_or_refused(
            name in prop_oneof![
                Just("CERTIFICATE"), Just("PRIVATE KEY"), Just("RSA PRIVATE KEY"), Just("ENCRYPTED PRIVATE KEY"), Just("X"),
            ],
            content in any::<Vec<u8>>(),
            around in "[ -~\\n]{0,30}",
            is_whole in any::<bool>(),
        ) {
            let end = if is_whole { format!("\n-----END {name}-----\n") } else { String::new() };
            let text = format!("{around}\n-----BEGIN {name}-----\n{}{end}{around}", base64_encode(&content));
            let found = certificates(SETTING, &text);
            prop_assert!(found.is_err() || (is_whole && name == "CERTIFICATE"), "{text}");
            prop_assert!(roots(SETTING, &text).is_err(), "no bytes are a certificate by chance");
            prop_assert!(private_key(SETTING, &text, None).is_err() || name.ends_with("PRIVATE KEY"));
            prop_assert!(name != "ENCRYPTED PRIVATE KEY" || private_key(SETTING, &text, Some(&Secret::new("p"))).is_err());
        }

        #[test]
        fn any_text_holds_nothing(text: String) {
            prop_assert!(certificates(SETTING, &text).is_err() && private_key(SETTING, &text, None).is_err());
        }
    }
}
