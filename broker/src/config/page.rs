//! The reference page of the broker's settings, written from the table so that it cannot fall behind.

use std::fmt::Write;

use super::{BrokerConfig, Importance, UpdateMode, kafka_names};

/// The page as Markdown: every setting that has an effect with its type, default and meaning, then the names that are
/// accepted without one.
pub fn reference_page() -> String {
    let defaults = BrokerConfig::default();
    let mut page = String::from(
        "# Broker settings\n\n\
         Generated from the table in `broker/src/config`; names and defaults are Apache Kafka's unless they begin with \
         `riverrun.`.\nDynamic settings can be changed with AlterConfigs while the broker runs.\n\n\
         | name | type | default | importance | dynamic | what it does |\n|---|---|---|---|---|---|\n",
    );
    for setting in BrokerConfig::SETTINGS {
        let default = match defaults.get(setting.name) {
            Some(value) if value.is_empty() => "(empty)".to_owned(),
            Some(value) => format!("`{value}`"),
            None => "(none)".to_owned(),
        };
        let dynamic = if setting.mode == UpdateMode::Dynamic { "yes" } else { "no" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} | {} | {dynamic} | {} |",
            setting.name,
            setting.config_type.name(),
            setting.importance,
            setting.doc.replace('|', "\\|"),
        );
    }
    page.push_str("\n## Kafka settings without an effect\n\nAccepted with a warning:\n\n");
    for name in kafka_names::WITHOUT_EFFECT {
        let _ = writeln!(page, "- `{name}`");
    }
    page
}

/// The settings of high importance in short, for a terminal.
pub(super) fn help() -> String {
    let defaults = BrokerConfig::default();
    let mut text = String::from("Settings that count, by their Kafka names (--set name=value, or --config FILE):\n");
    for setting in BrokerConfig::SETTINGS.iter().filter(|setting| setting.importance <= Importance::Medium) {
        let default = defaults.get(setting.name).unwrap_or_default();
        let _ = writeln!(text, "  {} [{default}]\n      {}", setting.name, setting.doc);
    }
    text.push_str("Other names that Kafka knows are accepted with a warning: they have no effect.\n");
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_lists_every_setting() {
        let page = super::reference_page();
        assert!(page.contains("| `num.partitions` | int | `1` | medium | no |"), "{page}");
        assert!(page.contains("- `num.io.threads`"));
    }
}
