//! A running turn: what it has reserved, and what is known of its usage.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::book::{Charge, Scope};
use super::pace::RequestPace;
use crate::gateway::{ModelCall, Usage};
use crate::work::WorkId;
use mcr_model::spending::{Amount, Prices};
use mcr_model::zone::Day;

/// Text has about this many bytes for each token.
const BYTES_PER_TOKEN: u64 = 4;

/// The id of a turn: the work, and the number of its request within the delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TurnId(String);

impl TurnId {
    /// The id of this request.
    pub fn new(work: &WorkId, request: u32) -> Self {
        Self(format!("{work}#{request}"))
    }

    /// An id as stored.
    pub(super) fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the turn belongs to this work.
    pub fn is_of(&self, work: &WorkId) -> bool {
        self.0.rsplit_once('#').is_some_and(|(id, _)| id == work.as_str())
    }
}

impl fmt::Display for TurnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A turn that was sent and is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTurn {
    /// The agent, by lower-case slug.
    pub agent: String,
    /// The day to which it is charged.
    #[serde(with = "day")]
    pub day: Day,
    /// What it has reserved.
    reserved: Amount,
    /// The estimate from its texts alone.
    texts: Amount,
    /// The largest usage that was read. A restart reads it again.
    #[serde(skip)]
    observed: Amount,
    /// How fast it spends.
    #[serde(skip)]
    pace: RequestPace,
    /// Earlier days to which its cost counts as well: while it ran, the clock was set back to them, and they took over the
    /// count of its day.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default, with = "days")]
    carried_to: BTreeSet<Day>,
}

impl OpenTurn {
    pub(super) fn new(agent: String, day: Day, reserved: Amount, texts: Amount) -> Self {
        let (observed, pace, carried_to) = (Amount::default(), RequestPace::default(), BTreeSet::new());
        Self { agent, day, reserved, texts, observed, pace, carried_to }
    }

    /// Takes a reading, `since` the one before. A history that was shortened shows less than before, which changes
    /// nothing.
    pub(super) fn observe(&mut self, cost: &TurnCost, prices: &Prices, since: Duration) {
        let texts = self.texts.tokens;
        self.observed = self.observed.at_least(cost.charge(texts, prices).amount);
        self.pace.read(cost.0.len() as u64, cost.largest(texts, prices), since);
    }

    /// The days and scopes in which it counts.
    pub(super) fn scopes(&self) -> impl Iterator<Item = (Day, Scope)> {
        self.days().flat_map(|day| Scope::of(&self.agent).map(|scope| (day, scope)))
    }

    /// The days in which it counts.
    pub(super) fn days(&self) -> impl Iterator<Item = Day> {
        std::iter::once(self.day).chain(self.carried_to.iter().copied())
    }

    /// Counts it to an earlier day as well, which takes over the count of a day in which it counts.
    pub(super) fn carry_to(&mut self, day: Day) {
        self.carried_to.insert(day);
    }

    /// The earlier days to which its cost counts as well.
    pub(super) fn carried_to(&self) -> &BTreeSet<Day> {
        &self.carried_to
    }

    /// The usage that was read.
    pub fn observed(&self) -> Amount {
        self.observed
    }

    pub(super) fn pace(&self) -> &RequestPace {
        &self.pace
    }

    pub(super) fn texts(&self) -> Amount {
        self.texts
    }

    /// What the turn is expected to cost.
    pub(super) fn expected(&self) -> Amount {
        self.reserved.at_least(self.observed)
    }
}

mod day {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use mcr_model::zone::Day;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
    pub(super) fn serialize<S: Serializer>(day: &Day, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(day.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Day, D::Error> {
        i64::deserialize(from).map(Day)
    }
}

mod days {
    use std::collections::BTreeSet;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use mcr_model::zone::Day;

    pub(super) fn serialize<S: Serializer>(days: &BTreeSet<Day>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(days.iter().map(|day| day.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<Day>, D::Error> {
        Ok(BTreeSet::<i64>::deserialize(from)?.into_iter().map(Day).collect())
    }
}

/// The usage of a turn: one entry for each of its model calls, or one for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnCost(pub Vec<ModelCall>);

impl TurnCost {
    /// A usage without the name of its model; none if it is zero, because gateways report zero for an unknown usage.
    pub fn of(usage: Option<Usage>) -> Self {
        let usage = usage.filter(|usage| *usage != Usage::default());
        Self(usage.map(|usage| ModelCall { model: None, usage }).into_iter().collect())
    }

    /// A model call whose usage is not reported.
    pub(super) fn unreported() -> Self {
        Self(vec![ModelCall::default()])
    }

    /// Whether no usage is reported.
    pub fn is_missing(&self) -> bool {
        self.tokens() == 0
    }

    /// All tokens.
    pub fn tokens(&self) -> u64 {
        let tokens = self.0.iter().map(|call| call.usage.tokens());
        tokens.fold(0, u64::saturating_add)
    }

    /// The largest call.
    fn largest(&self, texts: u64, prices: &Prices) -> Amount {
        let calls = self.0.iter().map(|call| Self(vec![call.clone()]).charge(texts, prices).amount);
        calls.fold(Amount::default(), Amount::at_least)
    }

    /// What the turn cost. A call whose model does not report its usage has read `texts` tokens.
    pub(super) fn charge(&self, texts: u64, prices: &Prices) -> Charge {
        let (mut sum, mut unpriced, mut estimated) = (Amount::default(), 0_u64, 0_u64);
        for ModelCall { model, usage } in &self.0 {
            let mut usage = *usage;
            if usage.tokens() == 0 {
                usage.input_tokens = texts;
                estimated = estimated.saturating_add(texts);
            }
            let tokens = usage.tokens();
            let nano_dollars = match usage.nano_dollars {
                0 => prices.cost(model.as_deref(), usage.input_tokens, usage.output_tokens),
                reported => Some(reported),
            };
            if nano_dollars.is_none() {
                unpriced = unpriced.saturating_add(tokens);
            }
            sum = sum.plus(Amount { tokens, nano_dollars: nano_dollars.unwrap_or(0) });
        }
        Charge { amount: sum, estimated, unpriced }
    }
}

/// The estimated tokens of texts with this many bytes.
pub fn estimate(bytes: usize) -> Amount {
    Amount { tokens: bytes as u64 / BYTES_PER_TOKEN + 1, nano_dollars: 0 }
}

/// The mean of turns, in which the last one counts a quarter.
pub(super) fn mean(usual: Amount, last: Amount) -> Amount {
    let mean = |usual: u64, last: u64| usual - usual / 4 + last / 4;
    Amount {
        tokens: mean(usual.tokens, last.tokens),
        nano_dollars: mean(usual.nano_dollars, last.nano_dollars),
    }
}
