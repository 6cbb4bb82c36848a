//! The prepared work: what each agent hands over on the tasks of the demo, and what the reviewer finds there.

/// A document of one agent on one task.
struct PreparedDocument {
    task: &'static str,
    agent: &'static str,
    text: &'static str,
}

const DOCUMENTS: [PreparedDocument; 8] = [
    PreparedDocument {
        task: "Tell our guests what to bring",
        agent: "writer",
        text: include_str!("texts/bring.md"),
    },
    PreparedDocument {
        task: "A booking page that works on a phone",
        agent: "designer",
        text: include_str!("texts/booking-design.md"),
    },
    PreparedDocument {
        task: "A booking page that works on a phone",
        agent: "engineer",
        text: include_str!("texts/booking-build.md"),
    },
    PreparedDocument {
        task: "Remind guests on the evening before",
        agent: "engineer",
        text: include_str!("texts/reminder.md"),
    },
    PreparedDocument {
        task: "Collect what guests ask most often",
        agent: "writer",
        text: include_str!("texts/questions.md"),
    },
    PreparedDocument {
        task: "Show prices in euros, too",
        agent: "engineer",
        text: include_str!("texts/euros.md"),
    },
    PreparedDocument {
        task: "Explain the cancellation rules in plain words",
        agent: "writer",
        text: include_str!("texts/cancellation.md"),
    },
    PreparedDocument {
        task: "Take card payments",
        agent: "engineer",
        text: include_str!("texts/payments.md"),
    },
];

/// A finding of the reviewer on one task, and the sentence that the author adds.
pub(super) struct Finding {
    task: &'static str,
    pub(super) found: &'static str,
    pub(super) fix: &'static str,
}

const FINDINGS: [Finding; 3] = [
    Finding {
        task: "Tell our guests what to bring",
        found: "it does not say which number to call when a guest cannot find the hut",
        fix: "**You cannot find us?** Call the number in your booking message.",
    },
    Finding {
        task: "A booking page that works on a phone",
        found: "it does not say what a guest sees who taps the last button twice",
        fix: "**A second tap** on the last button changes nothing: the booking has a key, so it is made once.",
    },
    Finding {
        task: "Collect what guests ask most often",
        found: "nothing tells parents from which age children may come",
        fix: "**Can children come?** Robin has not set an age yet. Please call us, and we find a solution.",
    },
];

/// The prepared document of this agent on the task with this title.
pub(super) fn document(title: &str, agent: &str) -> Option<&'static str> {
    let found = DOCUMENTS.iter().find(|document| document.task == title.trim() && document.agent == agent);
    found.map(|document| document.text)
}

/// The finding on the task with this title, if it has one.
pub(super) fn finding(title: &str) -> Option<&'static Finding> {
    FINDINGS.iter().find(|finding| finding.task == title.trim())
}
