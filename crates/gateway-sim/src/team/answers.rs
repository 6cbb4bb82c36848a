//! Answers to questions: the facts of the briefing, in the words of each role. To any other question the agents say that
//! they are scripted.

use super::view::{TaskView, words_of};

/// A subject that the agents know something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Script,
    Progress,
    Wind,
    Cancelling,
    GroupSize,
    Prices,
    Cards,
    Languages,
    Tours,
    Clothes,
    Place,
}

/// The words that belong to a topic. The first topic with a word of the question wins.
const WORDS: [(Topic, &[&str]); 11] = [
    (Topic::Script, &["scripted", "script", "real", "robot", "bot", "ai", "human", "model", "llm", "gpt"]),
    (Topic::Wind, &["wind", "windy", "weather", "storm", "rain", "waves", "beaufort"]),
    (Topic::Cancelling, &["cancel", "cancels", "cancelled", "cancellation", "refund", "back"]),
    (Topic::Cards, &["card", "cards", "pay", "payment", "payments"]),
    (Topic::Prices, &["price", "prices", "cost", "costs", "euro", "euros", "expensive"]),
    (Topic::GroupSize, &["many", "seats", "guests", "people", "group", "groups", "room", "full"]),
    (Topic::Languages, &["language", "languages", "english", "german", "french", "translate"]),
    (Topic::Clothes, &["bring", "wear", "shoes", "sandals", "clothes", "jacket"]),
    (Topic::Place, &["where", "meet", "pier", "hut", "address"]),
    (Topic::Tours, &["tour", "tours", "kayak", "seals", "sunset", "trip", "trips"]),
    (
        Topic::Progress,
        &["far", "progress", "status", "when", "ready", "finished", "doing", "going", "done", "started"],
    ),
];

/// The topic of a question, if an answer to it is written.
pub(super) fn topic(question: &str) -> Option<Topic> {
    let words = words_of(question);
    let fits = |known: &[&str]| known.iter().any(|known| words.iter().any(|word| word == known));
    WORDS.into_iter().find(|(_, known)| fits(known)).map(|(topic, _)| topic)
}

/// The answer to a question about this topic. `None` for the progress of the task, which depends on its status.
pub(super) fn fact(view: &TaskView, topic: Topic) -> Option<String> {
    let fact = match topic {
        Topic::Progress => return None,
        Topic::Script => return Some(scripted(view)),
        Topic::Wind => {
            "Above 5 Beaufort we stay ashore, and everybody gets their money back. It is decided at 18:00 on the evening \
             before."
        }
        Topic::Cancelling => {
            "Guests cancel free of charge until 24 hours before. Later, another person may have their place."
        }
        Topic::GroupSize => "At most 8 guests are on a tour.",
        Topic::Prices => "The briefing names no price. Prices are Robin's decision.",
        Topic::Cards => {
            "Not yet: the payment provider has to confirm our account first, and whether we take cards is still open."
        }
        Topic::Languages => "That is open: the briefing leaves to Robin in which languages we write.",
        Topic::Tours => "There are three tours: Morning Glass, Seal Bay and Evening Light.",
        Topic::Clothes => {
            "Clothes that may get wet, and shoes that stay on the feet. Jackets, boats and dry bags are ours."
        }
        Topic::Place => "At the blue hut on the pier, 15 minutes before the tour starts.",
    };
    let own = match (view.me.slug.as_str(), topic) {
        ("engineer", Topic::GroupSize) => {
            " `booking/` checks that limit when the seats are taken, not before."
        }
        ("engineer", Topic::Wind) => {
            " I close the day in `booking/` at that moment, so that it takes no booking."
        }
        ("engineer", Topic::Cards) => " The code can wait behind a switch until then.",
        ("engineer", Topic::Prices) => " In the code they stand in one place, `booking/prices`.",
        ("designer", Topic::Wind) => " On the page the day stays visible and says why it is closed.",
        ("designer", Topic::GroupSize) => " On the page, plus stops at the free seats of the day.",
        ("designer", Topic::Clothes) => " I would show it as three pictures, readable without a word.",
        ("writer", Topic::Wind | Topic::Cancelling) => " In a text I would put that into the first sentence.",
        ("writer", Topic::Prices) => " I never write a price from memory.",
        ("writer", Topic::Languages) => " I would start with one and write it well.",
        ("qa", Topic::GroupSize) => " I check it with nine guests, and with the last seat asked for twice.",
        ("qa", Topic::Wind | Topic::Cancelling) => " I check every text against exactly that.",
        ("squad-lead", Topic::Prices | Topic::Cards | Topic::Languages) => {
            " Shall I create a task for it? Write: \u{201c}Create a task: \u{2026}\u{201d}"
        }
        _ => "",
    };
    Some(format!("{fact}{own}"))
}

/// The answer to a question without a written answer.
pub(super) fn unknown(view: &TaskView) -> String {
    format!(
        "I have no answer to that: I am a scripted agent in a demo, and no language model runs. I know the tours, the wind, \
         cancelling and group sizes, and how far the work is. {} With `demo --gateway URL` a model answers.",
        can_do(view)
    )
}

fn scripted(view: &TaskView) -> String {
    format!(
        "I am scripted: my texts were written in advance, and no language model runs in this demo. The rest is real: the \
         runtime, its tools and this board. {} With `demo --gateway URL` a model answers.",
        can_do(view)
    )
}

fn can_do(view: &TaskView) -> &'static str {
    match view.me.slug.as_str() {
        "squad-lead" => "I can create tasks, assign them and say where they stand.",
        "qa" => "I can review a task and send it back.",
        "designer" => "I can take a task and hand over a design.",
        "engineer" => "I can take a task and hand over what I built.",
        "writer" => "I can take a task and hand over a text.",
        _ => "I can take a task and hand over a result.",
    }
}
