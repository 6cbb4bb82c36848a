//! Amounts that turns cost, limits on them, and the prices of models.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::zone::Zone;

/// The largest limits. No account spends as much in a day, so a larger number is a mistake.
const TOKENS_MAX: u64 = 1_000_000_000_000_000;
const DOLLARS_MAX: u64 = 1_000_000_000;

const NANOS: u64 = 1_000_000_000;
/// Decimal places of a billionth.
const PLACES: usize = 9;
/// The number of tokens that a price is for.
const MILLION: u128 = 1_000_000;

/// What turns cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// Tokens that models read and wrote.
    #[serde(default)]
    pub tokens: u64,
    /// Billionths of a dollar.
    #[serde(default)]
    pub nano_dollars: u64,
}

impl Amount {
    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            nano_dollars: self.nano_dollars.saturating_add(other.nano_dollars),
        }
    }

    /// The difference, at least 0.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_sub(other.tokens),
            nano_dollars: self.nano_dollars.saturating_sub(other.nano_dollars),
        }
    }

    /// The smaller of each.
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        self.minus(self.minus(other))
    }

    /// The larger of each.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.max(other.tokens),
            nano_dollars: self.nano_dollars.max(other.nano_dollars),
        }
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// `1,200 tokens` or `1,200 tokens and $0.36`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", grouped(self.tokens))?;
        if self.nano_dollars > 0 { write!(f, " and ${}", Dollars(self.nano_dollars)) } else { Ok(()) }
    }
}

/// Billionths of a dollar, printed in dollars without trailing zeros.
#[derive(Clone, Copy, Debug)]
pub struct Dollars(pub u64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / NANOS, self.0 % NANOS);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Limits on what the turns of one day cost. `None` sets no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Billionths of a dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nano_dollars: Option<u64>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// These limits, with those of `other` where they are set.
    #[must_use]
    pub fn overridden_by(self, other: Self) -> Self {
        Self { tokens: other.tokens.or(self.tokens), nano_dollars: other.nano_dollars.or(self.nano_dollars) }
    }

    /// Parses one limit: `200000` is tokens, `5usd` or `2.50usd` is dollars. The error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(amount) = text.to_ascii_lowercase().strip_suffix("usd") {
            return Ok(Self { nano_dollars: Some(parse_dollars(amount.trim_end())?), ..Self::default() });
        }
        let amount = text.trim_start_matches('$').trim();
        if text.contains(['.', '$']) && decimal(amount).is_some() {
            return Err(format!("{text:?} is no number of tokens; for dollars, write {amount}usd"));
        }
        Ok(Self { tokens: Some(parse_tokens(text)?), ..Self::default() })
    }
}

/// `200,000 tokens`, `$5`, or both.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = self.tokens.map(|tokens| format!("{} tokens", grouped(tokens)));
        let dollars = self.nano_dollars.map(|nanos| format!("${}", Dollars(nanos)));
        match (tokens, dollars) {
            (Some(tokens), Some(dollars)) => write!(f, "{tokens} and {dollars}"),
            (Some(only), None) | (None, Some(only)) => f.write_str(&only),
            (None, None) => f.write_str("no limit"),
        }
    }
}

const NOT_ZERO: &str =
    "a budget of 0 lets no turn start; leave it out to set no limit, or run `pause` to stop all turns";

/// Parses a limit in tokens. The error is a sentence.
pub fn parse_tokens(text: &str) -> Result<u64, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{text:?} is no number of tokens; expected digits only, like 200000"));
    }
    match text.parse() {
        Ok(0) => Err(NOT_ZERO.to_owned()),
        Ok(tokens) if tokens <= TOKENS_MAX => Ok(tokens),
        Ok(_) | Err(_) => Err(format!(
            "{text} tokens are more than the largest budget, {}; leave it out to set no limit",
            grouped(TOKENS_MAX)
        )),
    }
}

/// Parses a limit in dollars, in billionths. The error is a sentence.
pub fn parse_dollars(text: &str) -> Result<u64, String> {
    let most = DOLLARS_MAX * NANOS;
    match decimal(text) {
        None => Err(format!("{text:?} is no amount of dollars; expected a number like 5 or 2.50")),
        Some(0) => Err(NOT_ZERO.to_owned()),
        Some(nanos) => u64::try_from(nanos).ok().filter(|nanos| *nanos <= most).ok_or_else(|| {
            format!(
                "{text} dollars are more than the largest budget, {}; leave it out to set no limit",
                grouped(DOLLARS_MAX)
            )
        }),
    }
}

/// A decimal number without a sign, in billionths. More than nine places are refused. A larger number than fits counts
/// as the largest one.
fn decimal(text: &str) -> Option<u128> {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_number = !whole.is_empty() && digits(whole) && digits(places) && places.len() <= PLACES;
    if !is_number || text.ends_with('.') {
        return None;
    }
    let whole: u128 = whole.parse().unwrap_or(u128::MAX);
    let places: u128 = format!("{places:0<PLACES$}").parse().ok()?;
    Some(whole.saturating_mul(NANOS.into()).saturating_add(places))
}

/// The budgets of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budgets {
    /// The limits of the account.
    pub account: Limits,
    /// The limits of single agents, by lower-case slug.
    pub agents: BTreeMap<String, Limits>,
    /// The zone whose midnight begins a day.
    pub zone: Zone,
    /// The prices of models whose cost the gateway does not report.
    pub prices: Prices,
}

impl Budgets {
    /// Whether anything is limited.
    pub fn are_set(&self) -> bool {
        !self.account.is_none() || !self.agents.is_empty()
    }

    /// Whether dollars are limited.
    pub fn limit_dollars(&self) -> bool {
        self.account.nano_dollars.is_some()
            || self.agents.values().any(|limits| limits.nano_dollars.is_some())
    }

    /// Whether the dollars of this agent's turns are limited.
    pub fn limit_dollars_of(&self, agent: &str) -> bool {
        let own = self.agents.get(&agent.to_lowercase());
        self.account.nano_dollars.is_some() || own.is_some_and(|limits| limits.nano_dollars.is_some())
    }
}

/// Parses a list like `writer=200000,qa=5usd`. An agent may have a limit of each kind. The error is a sentence about
/// the first mistake.
pub fn parse_agents(text: &str) -> Result<BTreeMap<String, Limits>, String> {
    let mut agents: BTreeMap<String, Limits> = BTreeMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((slug, amount)) = entry.split_once('=') else {
            return Err(format!("{entry:?} has no `=`; expected `SLUG=TOKENS` or `SLUG=AMOUNTusd`"));
        };
        let slug = slug.trim().to_lowercase();
        if slug.is_empty() {
            return Err(format!("{entry:?} names no agent before `=`"));
        }
        let limits = Limits::parse(amount).map_err(|why| format!("{entry:?}: {why}"))?;
        let before = agents.entry(slug).or_default();
        let twice = (before.tokens.is_some() && limits.tokens.is_some())
            || (before.nano_dollars.is_some() && limits.nano_dollars.is_some());
        if twice {
            return Err(format!("{entry:?} is the second limit of this kind for the agent"));
        }
        *before = before.overridden_by(limits);
    }
    Ok(agents)
}

/// The price of a model's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// A million tokens read, in billionths of a dollar.
    pub read: u64,
    /// A million tokens written, in billionths of a dollar.
    pub written: u64,
}

/// The prices of models, by lower-case name. `*` is every other model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// Parses a list like `claude-sonnet-5=3/15,*=1/5`. The error is a sentence about the first mistake.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut prices = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let expected = || {
                format!(
                    "{entry:?} is no price; expected `MODEL=READ/WRITTEN` in dollars per million tokens, like `gpt-5=1.25/10`"
                )
            };
            let (model, price) = entry.rsplit_once('=').ok_or_else(expected)?;
            let (read, written) = price.split_once('/').ok_or_else(expected)?;
            let nanos = |text: &str| decimal(text.trim()).and_then(|nanos| u64::try_from(nanos).ok());
            let (Some(read), Some(written)) = (nanos(read), nanos(written)) else { return Err(expected()) };
            let model = model.trim().to_lowercase();
            if model.is_empty() {
                return Err(expected());
            }
            if prices.insert(model, Price { read, written }).is_some() {
                return Err(format!("{entry:?} is the second price of this model"));
            }
        }
        Ok(Self(prices))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The price of a model, by its name with or without its provider (`openai/gpt-5`).
    pub fn of(&self, model: Option<&str>) -> Option<Price> {
        let model = model.unwrap_or_default().to_lowercase();
        let name = model.rsplit('/').next().unwrap_or_default();
        [model.as_str(), name, "*"].into_iter().find_map(|name| self.0.get(name)).copied()
    }

    /// What these tokens cost, in billionths of a dollar, rounded up. `None` if the model has no price.
    pub fn cost(&self, model: Option<&str>, read: u64, written: u64) -> Option<u64> {
        let price = self.of(model)?;
        let product = |tokens: u64, price: u64| u128::from(tokens) * u128::from(price);
        let nanos =
            (product(read, price.read).saturating_add(product(written, price.written))).div_ceil(MILLION);
        Some(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Limits {
        Limits { tokens: Some(tokens), nano_dollars: None }
    }

    fn dollars(nanos: u64) -> Limits {
        Limits { tokens: None, nano_dollars: Some(nanos) }
    }

    #[test]
    fn a_limit_is_tokens_or_dollars() {
        let rows = [
            ("200000", Ok(tokens(200_000))),
            (" 1 ", Ok(tokens(1))),
            ("5usd", Ok(dollars(5 * NANOS))),
            ("2.50 USD", Ok(dollars(2_500_000_000))),
            ("0.000000001usd", Ok(dollars(1))),
            ("1000000000usd", Ok(dollars(NANOS * NANOS))),
            ("1000000000000000", Ok(tokens(TOKENS_MAX))),
            ("0", Err("a budget of 0 lets no turn start")),
            ("0.00usd", Err("a budget of 0 lets no turn start")),
            ("-5", Err("is no number of tokens")),
            ("-5usd", Err("is no amount of dollars")),
            ("1e6", Err("is no number of tokens; expected digits only")),
            ("0.5", Err("is no number of tokens; for dollars, write 0.5usd")),
            ("5.", Err("is no number of tokens")),
            ("5.usd", Err("is no amount of dollars")),
            (".5usd", Err("is no amount of dollars")),
            ("0.0000000001usd", Err("is no amount of dollars")),
            ("$5", Err("is no number of tokens")),
            ("", Err("is no number of tokens")),
            ("1000000000000000000", Err("more than the largest budget, 1,000,000,000,000,000")),
            ("99999999999999999999999999", Err("more than the largest budget")),
            ("1000000000000000000usd", Err("more than the largest budget, 1,000,000,000")),
            ("999999999999999999999999999999999999999999999usd", Err("more than the largest budget")),
        ];
        for (text, expected) in rows {
            match (Limits::parse(text), expected) {
                (Ok(limits), Ok(expected)) => assert_eq!(limits, expected, "{text}"),
                (Err(why), Err(words)) => assert!(why.contains(words), "{text}: {why}"),
                (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn agents_have_limits_of_both_kinds() {
        let agents = parse_agents(" Writer = 200000 , qa=5usd,writer=1.5usd,").unwrap();
        assert_eq!(agents["writer"], tokens(200_000).overridden_by(dollars(1_500_000_000)));
        assert_eq!((agents["qa"], agents.len()), (dollars(5 * NANOS), 2));
        assert_eq!(agents["writer"].to_string(), "200,000 tokens and $1.5");
        let mut budgets = Budgets { agents: parse_agents("a=5,b=5usd").unwrap(), ..Budgets::default() };
        let limited = |budgets: &Budgets| ["a", "B", "c"].map(|agent| budgets.limit_dollars_of(agent));
        assert_eq!(limited(&budgets), [false, true, false]);
        budgets.account = dollars(1);
        assert_eq!(limited(&budgets), [true; 3]);
        let rows = [
            ("writer", "has no `=`"),
            ("=5", "names no agent"),
            ("writer=5,WRITER=6", "second limit of this kind"),
            ("writer=x", "\"writer=x\": \"x\" is no number of tokens"),
            ("writer=0", "a budget of 0"),
        ];
        for (text, words) in rows {
            let why = parse_agents(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn prices_are_per_million_tokens_and_round_up() {
        let prices = Prices::parse("Claude-Sonnet-5=3/15, openai/gpt-5=1.25/10").unwrap();
        assert_eq!(prices.cost(Some("anthropic/claude-sonnet-5"), 1_000_000, 0), Some(3 * NANOS));
        assert_eq!(prices.cost(Some("openai/GPT-5"), 0, 100_000), Some(NANOS));
        assert_eq!(prices.cost(Some("claude-sonnet-5"), 1, 1), Some(18_000));
        assert_eq!(prices.cost(Some("gpt-5"), 1, 1), None, "the price is of another provider's model");
        assert_eq!(prices.cost(None, 1, 1), None);
        assert_eq!(prices.cost(Some("claude-sonnet-5"), u64::MAX, u64::MAX), Some(u64::MAX));
        let all = Prices::parse("*=0.000000001/0").unwrap();
        assert_eq!(all.cost(None, 1, 5), Some(1));
        for text in ["gpt-5", "gpt-5=1", "gpt-5=-1/2", "=1/2", "gpt-5=1/x", "gpt-5=1/2/3"] {
            assert!(Prices::parse(text).unwrap_err().contains("MODEL=READ/WRITTEN"), "{text}");
        }
        assert!(Prices::parse("a=1/2,A=1/3").unwrap_err().contains("second price"));
    }

    #[test]
    fn amounts_are_written_for_people() {
        let rows = [
            (0, 0, "0 tokens"),
            (999, 0, "999 tokens"),
            (1_234_567, 360_000_000, "1,234,567 tokens and $0.36"),
        ];
        for (tokens, nano_dollars, words) in rows {
            assert_eq!(Amount { tokens, nano_dollars }.to_string(), words);
        }
        assert_eq!(Limits::default().to_string(), "no limit");
    }
}
