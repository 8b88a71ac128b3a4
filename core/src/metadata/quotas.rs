//! Client quotas: which bounds hold for which users, client ids and addresses (KIP-13, KIP-124, KIP-546, KIP-599,
//! KIP-612). What is counted against them is not here.
//!
//! Source: Kafka `ClientQuotaControlManager`, `ClientQuotasImage`, `QuotaConfig`.

use std::collections::BTreeMap;

use super::{Image, MetadataRecord};
use crate::protocol::records::{ClientQuotaRecord, client_quota::EntityData};

/// What a quota is for. No name stands for the default of that type; a type that is absent plays no part.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuotaEntity {
    /// The user.
    pub user: Option<Option<String>>,
    /// The client id.
    pub client_id: Option<Option<String>>,
    /// The client's address.
    pub ip: Option<Option<String>>,
}

/// A number that compares by its bits, so that images can be compared.
#[derive(Debug, Clone, Copy)]
pub struct QuotaValue(pub f64);

impl PartialEq for QuotaValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for QuotaValue {}

/// The quotas of one entity by key.
pub type Quotas = BTreeMap<String, QuotaValue>;

/// Quotas of users and client ids.
pub const USER_CLIENT_QUOTAS: &[&str] =
    &["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
/// The quota of addresses.
pub const IP_QUOTA: &str = "connection_creation_rate";

/// Why quotas do not change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidQuota {
    /// What is wrong.
    pub reason: String,
}

fn invalid(reason: impl Into<String>) -> InvalidQuota {
    InvalidQuota { reason: reason.into() }
}

impl QuotaEntity {
    /// Reads an entity from its parts: pairs of a type and a name, null for the default.
    ///
    /// # Errors
    /// If it is empty, a type is unknown or stands twice, a name is empty, or an address is mixed with others.
    pub fn from_parts<'a>(parts: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<Self, InvalidQuota> {
        let mut entity = Self::default();
        for (kind, name) in parts {
            let field = match kind {
                "user" => &mut entity.user,
                "client-id" => &mut entity.client_id,
                "ip" => &mut entity.ip,
                other => return Err(invalid(format!("Unhandled client quota entity type: {other}"))),
            };
            if field.is_some() {
                return Err(invalid(format!("Invalid client quota entity, contains duplicate entity type: {kind}")));
            }
            if name == Some("") {
                return Err(invalid(format!("Empty {kind} not supported")));
            }
            *field = Some(name.map(str::to_owned));
        }
        match &entity {
            Self { user: None, client_id: None, ip: None } => Err(invalid("Invalid empty client quota entity")),
            Self { ip: Some(_), user, client_id } if user.is_some() || client_id.is_some() => {
                Err(invalid("Invalid client quota entity: an ip cannot be combined with a user or client-id"))
            }
            _ => Ok(entity),
        }
    }

    /// The parts of the entity, as on the wire.
    pub fn parts(&self) -> Vec<(&'static str, Option<&str>)> {
        [("user", &self.user), ("client-id", &self.client_id), ("ip", &self.ip)]
            .into_iter()
            .filter_map(|(kind, name)| Some((kind, name.as_ref()?.as_deref())))
            .collect()
    }

    fn to_record(&self) -> Vec<EntityData> {
        let data = |(kind, name): (&str, Option<&str>)| EntityData {
            entity_type: kind.to_owned(),
            entity_name: name.map(str::to_owned),
        };
        self.parts().into_iter().map(data).collect()
    }

    fn check(&self, key: &str, value: Option<f64>) -> Result<(), InvalidQuota> {
        let is_known = if self.ip.is_some() { key == IP_QUOTA } else { USER_CLIENT_QUOTAS.contains(&key) };
        if !is_known {
            return Err(invalid(format!("Invalid configuration key {key}")));
        }
        let Some(value) = value else { return Ok(()) };
        if value.is_nan() || value <= 0.0 {
            return Err(invalid(format!("Quota {key} must be greater than 0")));
        }
        let whole = matches!(key, "producer_byte_rate" | "consumer_byte_rate" | "connection_creation_rate");
        if whole && (value - value.round()).abs() > 1e-6 {
            return Err(invalid(format!("{key} cannot be a fractional value.")));
        }
        if key == IP_QUOTA && value > f64::from(i32::MAX) {
            return Err(invalid(format!("Proposed value for {key} is too large for an INT.")));
        }
        Ok(())
    }
}

impl Image {
    /// The records that alter quotas of an entity; `None` as a value removes one.
    ///
    /// # Errors
    /// The first reason against it.
    pub fn alter_quotas(
        &self,
        entity: &QuotaEntity,
        alterations: &[(String, Option<f64>)],
    ) -> Result<Vec<MetadataRecord>, InvalidQuota> {
        let current = self.quotas().get(entity);
        let mut records = Vec::new();
        for (key, value) in alterations {
            entity.check(key, *value)?;
            let before = current.and_then(|quotas| quotas.get(key)).map(|value| value.0);
            if before == *value {
                continue;
            }
            records.push(MetadataRecord::ClientQuota(ClientQuotaRecord {
                entity: entity.to_record(),
                key: key.clone(),
                value: value.unwrap_or(0.0),
                remove: value.is_none(),
            }));
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_values_are_checked() {
        let entity = QuotaEntity::from_parts([("user", Some("a")), ("client-id", None)]).unwrap();
        assert_eq!(entity.parts(), [("user", Some("a")), ("client-id", None)]);
        for wrong in [vec![], vec![("who", None)], vec![("user", None), ("user", None)], vec![("user", Some(""))]] {
            assert!(QuotaEntity::from_parts(wrong).is_err());
        }
        assert!(QuotaEntity::from_parts([("user", None), ("ip", None)]).is_err());
        let image = Image::default();
        let alter = |key: &str, value| image.alter_quotas(&entity, &[(key.to_owned(), Some(value))]);
        assert_eq!(alter("producer_byte_rate", 1024.0).unwrap().len(), 1);
        assert!(alter("request_percentage", 0.5).is_ok());
        assert!(alter("producer_byte_rate", 0.5).is_err());
        assert!(alter("producer_byte_rate", 0.0).is_err());
        assert!(alter("connection_creation_rate", 1.0).is_err());
        assert!(image.alter_quotas(&entity, &[("producer_byte_rate".to_owned(), None)]).unwrap().is_empty());
    }

    #[test]
    fn replay_sets_and_removes() {
        let entity = QuotaEntity::from_parts([("ip", Some("127.0.0.1"))]).unwrap();
        let mut image = Image::default();
        for (value, left) in [(Some(5.0), 1), (None, 0)] {
            for record in image.alter_quotas(&entity, &[(IP_QUOTA.to_owned(), value)]).unwrap() {
                let decoded = MetadataRecord::decode(&record.encode().unwrap()).unwrap().unwrap();
                image.replay(&decoded).unwrap();
                assert_eq!(image.weight(), image.weight_of_all());
            }
            assert_eq!(image.quotas().len(), left);
        }
    }
}
