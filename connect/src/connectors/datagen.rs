//! `datagen`: makes up records, as many and as fast as told, the same ones for the same seed.
//!
//! Record *n* of a task is a function of seed, task and *n* alone. The source offset is *n*, so a restart goes on exactly
//! behind the last record stored, with the records that would have come anyway. Times in the records are the clock's and
//! the only thing that differs between two runs.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{
    Data, Source, SourceContext, SourceOffset, SourcePartition, SourceRecord, TaskError,
    config::{ConfigErrors, ConfigType, ConfigValue, Expected, Properties, Validator},
    random::{Random, seed},
};

crate::config! {
    /// Keys of `datagen`.
    pub struct DatagenConfig {
        /// Topic the records go to.
        pub topic: String = "topic", High, valid Validator::NonEmpty;
        /// What the records are: `users`, `orders`, `clicks`, or `sequence` (their numbers).
        pub template: Template = "template", High, default "orders";
        /// Records per second and task; fractions are allowed.
        pub rate: f64 = "records.per.second", Medium, default "10",
            valid Validator::Custom(|text| match text.parse::<f64>() {
                Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(()),
                _ => Err(Expected(std::borrow::Cow::Borrowed("a number above 0"))),
            });
        /// How many records each task makes before it falls silent, over all restarts. Default: no end.
        pub count: Option<u64> = "count", Medium;
        /// Where the numbers come from: the same seed makes the same records.
        pub seed: u64 = "seed", Low, default "0";
        /// Most records returned at once.
        pub batch_records_max: usize = "batch.records.max", Low, default "1000", valid Validator::Between(1, 100_000);
    }
}

/// What `datagen` makes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// People: id, name, country, age; keyed by id. Few enough ids that later records update earlier ones.
    Users,
    /// Purchases: id, user, item, quantity, price; keyed by id.
    Orders,
    /// Page views: user, page, referrer, milliseconds; keyed by user.
    Clicks,
    /// `{"sequence": n}`, keyed by *n*.
    Sequence,
}

impl ConfigValue for Template {
    const TYPE: ConfigType = ConfigType::String;

    fn parse(text: &str) -> Result<Self, Expected> {
        match text {
            "users" => Ok(Self::Users),
            "orders" => Ok(Self::Orders),
            "clicks" => Ok(Self::Clicks),
            "sequence" => Ok(Self::Sequence),
            _ => Err("`users`, `orders`, `clicks` or `sequence`".into()),
        }
    }
}

/// The source.
#[derive(Debug)]
pub struct Datagen {
    config: DatagenConfig,
    partition: SourcePartition,
    seed: u64,
    /// The number of the next record.
    next: u64,
    /// What was `next`, and when, when this task started: the rate counts from here.
    began: (u64, Instant),
}

impl Source for Datagen {
    type Config = DatagenConfig;

    fn task_configs(
        _: &DatagenConfig,
        properties: &Properties,
        tasks_max: usize,
    ) -> Result<Vec<Properties>, ConfigErrors> {
        Ok(vec![properties.clone(); tasks_max])
    }

    async fn start(config: DatagenConfig, context: SourceContext) -> Result<Self, TaskError> {
        let partition = SourcePartition::of("task", context.task);
        let stored = context.offsets.get(&partition).and_then(|offset| offset.get("sequence")).and_then(Value::as_u64);
        let next = stored.map_or(0, |last| last.saturating_add(1));
        let seed = seed("datagen", config.seed).wrapping_add(seed("task", context.task as u64));
        Ok(Self { config, partition, seed, next, began: (next, Instant::now()) })
    }

    async fn poll(&mut self) -> Result<Vec<SourceRecord>, TaskError> {
        let left = self.config.count.map_or(u64::MAX, |count| count.saturating_sub(self.next));
        if left == 0 {
            return std::future::pending().await;
        }
        let (first, began) = self.began;
        // Record n is due (n - first) / rate after the start; the first comes at once.
        let due_after = (self.next - first) as f64 / self.config.rate;
        sleep_until(began + Duration::try_from_secs_f64(due_after).unwrap_or(Duration::MAX / 4)).await;
        let due = (began.elapsed().as_secs_f64() * self.config.rate) as u64 + 1;
        let due = (first + due).saturating_sub(self.next).clamp(1, self.config.batch_records_max as u64).min(left);
        let records = (self.next..self.next + due).map(|number| self.record(number)).collect();
        self.next += due;
        Ok(records)
    }
}

impl Datagen {
    fn record(&self, number: u64) -> SourceRecord {
        let mut random = Random::new(seed("record", number) ^ self.seed);
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        let (key, value) = match self.config.template {
            Template::Users => user(&mut random, at),
            Template::Orders => order(&mut random, number, at),
            Template::Clicks => click(&mut random, at),
            Template::Sequence => (number.to_string(), json!({ "sequence": number })),
        };
        SourceRecord::new(self.config.topic.as_str(), Data::Json(value))
            .key(key)
            .timestamp(at)
            .position(&self.partition, SourceOffset::of("sequence", number))
    }
}

const NAMES: &[&str] = &["Anna", "Livia", "Shem", "Shaun", "Issy", "Kate", "Finn", "Kevin", "Jaun", "Nuvoletta"];
const COUNTRIES: &[&str] = &["IE", "CH", "IT", "FR", "DE", "GB", "US", "JP"];
const ITEMS: &[&str] = &["kettle", "lantern", "umbrella", "bicycle", "inkwell", "compass", "anchor", "bell"];
const PAGES: &[&str] = &["/", "/search", "/item", "/cart", "/checkout", "/help", "/about"];
const REFERRERS: &[&str] = &["direct", "search", "mail", "partner"];

fn user_id(random: &mut Random) -> String {
    format!("user-{}", random.below(1000))
}

fn user(random: &mut Random, at: i64) -> (String, Value) {
    let id = user_id(random);
    let (name, country) = (*random.pick(NAMES), *random.pick(COUNTRIES));
    let value = json!({ "id": id, "name": name, "country": country, "age": 18 + random.below(70), "at": at });
    (id, value)
}

fn order(random: &mut Random, number: u64, at: i64) -> (String, Value) {
    let id = format!("order-{number}");
    let (user, item) = (user_id(random), *random.pick(ITEMS));
    let (quantity, cents) = (1 + random.below(5), 100 + random.below(20_000));
    let price = cents as f64 / 100.0;
    let value = json!({ "id": id, "user": user, "item": item, "quantity": quantity, "price": price, "at": at });
    (id, value)
}

fn click(random: &mut Random, at: i64) -> (String, Value) {
    let user = user_id(random);
    let (page, referrer) = (*random.pick(PAGES), *random.pick(REFERRERS));
    let took = 5 + random.below(500);
    let value = json!({ "user": user, "page": page, "referrer": referrer, "took_ms": took, "at": at });
    (user, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Configuration,
        connectors::file_tail::tests::{context, context_at},
    };

    async fn start(properties: &Properties, context: SourceContext) -> Datagen {
        Datagen::start(DatagenConfig::from_properties(properties).unwrap(), context).await.unwrap()
    }

    fn without_time(record: &SourceRecord) -> Value {
        let Data::Json(mut value) = record.value.clone() else { panic!("JSON") };
        value["at"] = Value::Null;
        value
    }

    #[tokio::test(start_paused = true)]
    async fn as_fast_as_told_and_no_more_than_counted() {
        let properties = Properties::new().set("topic", "t").set("records.per.second", 4).set("count", 9);
        let mut source = start(&properties, context()).await;
        let began = Instant::now();
        let mut count = 0;
        while count < 9 {
            count += source.poll().await.unwrap().len();
        }
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        let silence = tokio::time::timeout(Duration::from_secs(3600), source.poll()).await;
        assert!(silence.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_restart_goes_on_with_the_same_records() {
        for template in ["users", "orders", "clicks", "sequence"] {
            let properties = Properties::new()
                .set("topic", "t")
                .set("template", template)
                .set("records.per.second", 1_000_000)
                .set("batch.records.max", 7)
                .set("seed", 42);
            let mut whole = start(&properties, context()).await;
            let mut records = Vec::new();
            while records.len() < 40 {
                records.extend(whole.poll().await.unwrap());
            }
            let position = records[19].source.clone().unwrap();
            let mut resumed = start(&properties, context_at([position])).await;
            let next = resumed.poll().await.unwrap();
            assert_eq!(without_time(&next[0]), without_time(&records[20]));
            assert_eq!(next[0].key, records[20].key);
        }
    }
}
