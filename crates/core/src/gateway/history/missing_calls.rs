//! Finds calls of a turn that its reply lacks (spec §12.3).

use super::TurnMark;
use super::page::Item;
use super::trace::Trace;
use crate::gateway::ToolCall;

/// The calls of a reply, with those that the session shows besides. `None` if the session does not show the reply's own calls,
/// so that nothing can be compared.
///
/// The reply and the session name a call by different ids. Two calls are the same if they call the same tool with the same
/// arguments. A call of the reply whose arguments look different in the session stands for the last call of its tool there.
/// A call that only the session shows keeps the id that it has there.
pub fn with_missing_calls(mark: &TurnMark<'_>, reply: &[ToolCall], items: &[Item]) -> Option<Vec<ToolCall>> {
    let mut shown = Trace::of(mark, items).own.client_calls();
    let mut arrived = vec![false; shown.len()];
    let mut unpaired = Vec::new();
    for call in reply {
        match (0..shown.len()).find(|at| !arrived[*at] && shown[*at].is_same(call)) {
            Some(at) => (shown[at], arrived[at]) = (call.clone(), true),
            None if shown.iter().any(|known| known.is_same(call)) => {}
            None => unpaired.push(call),
        }
    }
    for call in unpaired.into_iter().rev() {
        let at = (0..shown.len()).rfind(|at| !arrived[*at] && shown[*at].name == call.name)?;
        (shown[at], arrived[at]) = (call.clone(), true);
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::read;
    use super::*;

    fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
        ToolCall { call_id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() }
    }

    /// A session with a question and one item for each list of calls.
    fn session(items: &[&[(&str, &str, Value)]]) -> Vec<Item> {
        let mut all = vec![json!({"role": "user", "content": "[n-1 try 1] Hello."})];
        for calls in items {
            let block = |(id, name, arguments): &(&str, &str, Value)| json!({"type": "toolCall", "id": id, "name": name, "arguments": arguments});
            let content: Vec<Value> = calls.iter().map(block).collect();
            all.push(json!({"role": "assistant", "stopReason": "toolUse", "content": content}));
            for (id, ..) in *calls {
                let text = "{\"message\": \"Tool execution delegated to client\"}";
                let content = json!([{"type": "text", "text": text}]);
                all.push(json!({"role": "toolResult", "toolCallId": id, "content": content}));
            }
        }
        read(json!({"items": all}).to_string().as_bytes()).unwrap().items
    }

    type Row = (&'static str, Vec<Item>, Vec<ToolCall>, Option<&'static str>);

    #[test]
    fn a_reply_gets_the_calls_that_it_lacks_in_the_order_of_the_session() {
        let (a, b, c) = (json!({"n": 1, "m": 2}), json!({"n": 2}), json!({"n": 3}));
        let cut = json!({"text": "x\n...(truncated)..."});
        let rows: [Row; 9] = [
            (
                "the last of three arrived",
                session(&[&[("m1", "f", a.clone()), ("m2", "g", b.clone()), ("m3", "f", c.clone())]]),
                vec![call("c1", "f", "{\"n\": 3}")],
                Some("m1 m2 c1"),
            ),
            (
                "the first of two arrived, with its arguments in another order",
                session(&[&[("m1", "f", a.clone()), ("m2", "f", b.clone())]]),
                vec![call("c1", "f", "{\"m\":2,\"n\":1}")],
                Some("c1 m2"),
            ),
            (
                "all arrived",
                session(&[&[("m1", "f", a.clone()), ("m2", "f", b.clone())]]),
                vec![call("c1", "f", &a.to_string()), call("c2", "f", &b.to_string())],
                Some("c1 c2"),
            ),
            (
                "two equal calls",
                session(&[&[("m1", "f", a.clone()), ("m2", "f", a.clone())]]),
                vec![call("c1", "f", &a.to_string())],
                Some("c1 m2"),
            ),
            (
                "a repetition of a waiting call is none of its own",
                session(&[&[("m1", "f", a.clone())], &[("m2", "f", a.clone())]]),
                vec![call("c1", "f", &a.to_string()), call("c2", "f", &a.to_string())],
                Some("c1"),
            ),
            (
                "another call while the first one waits",
                session(&[&[("m1", "f", a.clone())], &[("m2", "g", b.clone())]]),
                vec![call("c1", "g", &b.to_string())],
                Some("m1 c1"),
            ),
            (
                "the arguments are cut in the session",
                session(&[&[("m1", "f", a.clone()), ("m2", "f", cut.clone())]]),
                vec![call("c1", "f", "{\"text\":\"x and more\"}")],
                Some("m1 c1"),
            ),
            ("the session does not show the call", session(&[]), vec![call("c1", "f", "{}")], None),
            (
                "the session shows another tool",
                session(&[&[("m1", "g", b)]]),
                vec![call("c1", "f", "{}")],
                None,
            ),
        ];
        let mark = TurnMark { marker: "[n-1 try 1]", ..TurnMark::default() };
        for (name, items, reply, expected) in rows {
            let found = with_missing_calls(&mark, &reply, &items);
            let ids = found
                .map(|calls| calls.iter().map(|call| call.call_id.clone()).collect::<Vec<_>>().join(" "));
            assert_eq!(ids.as_deref(), expected, "{name}");
        }
        let items = session(&[&[("m1", "f", cut), ("m2", "f", a.clone())]]);
        let found = with_missing_calls(&mark, &[call("c1", "f", &a.to_string())], &items).unwrap();
        assert!(found[0].is_incomplete() && !found[1].is_incomplete(), "{found:?}");
    }
}
