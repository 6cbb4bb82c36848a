//! The double of the gateway: the stream of a turn (openclaw-gateway §6) with a configured duration.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mission_control_runtime::http::message::{Reply, Request};

use super::doubles::Doubles;
use super::world::{self, Track};

pub(crate) fn answer(doubles: &Arc<Doubles>, request: &Request) -> Reply {
    match request.path().as_ref() {
        "/startupz" => {
            Reply::json(r#"{"ok":true,"status":"started","version":"2026.9.6","uptimeMs":60000.0}"#)
        }
        "/readyz" => Reply::json(r#"{"ready":true,"failing":[],"uptimeMs":60000.0}"#),
        "/health" | "/healthz" => Reply::json(r#"{"ok":true,"status":"live"}"#),
        "/__openclaw/control-ui-config.json" => {
            Reply::json(r#"{"basePath":"","assistantName":"Assistant","serverVersion":"2026.9.6"}"#)
        }
        "/v1/models" => Reply::json(world::models()),
        "/v1/responses" => turn(doubles, request),
        path if path.starts_with("/sessions/") && path.ends_with("/history") => history(path),
        path => {
            let what = path.split('/').nth(1).unwrap_or_default();
            doubles.state().odd(&format!("requests to the gateway for /{what}"));
            Reply::error(404, "not found")
        }
    }
}

/// No session is ever shown: nothing crashes here, so no program has to look for a lost answer.
fn history(path: &str) -> Reply {
    let key = path.trim_start_matches("/sessions/").trim_end_matches("/history").replace("%3A", ":");
    let body = format!(
        r#"{{"ok":false,"error":{{"type":"not_found","message":"Session not found: {}"}}}}"#,
        key.to_lowercase()
    );
    Reply::json(body.into_bytes()).with_status(404)
}

/// A turn in flight.
struct Flight {
    doubles: Arc<Doubles>,
    track: Track,
    landed: bool,
}

impl Flight {
    /// The model is done.
    fn land(&mut self) {
        if !self.landed {
            self.landed = true;
            let now = self.doubles.now();
            let mut state = self.doubles.state();
            state.in_flight = state.in_flight.saturating_sub(1);
            let session = state.sessions.entry(self.track).or_default();
            session.in_flight = session.in_flight.saturating_sub(1);
            session.done = now;
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.doubles.state().odd("turns that were hung up on");
        }
        self.land();
    }
}

fn turn(doubles: &Arc<Doubles>, request: &Request) -> Reply {
    let session = request.header("x-openclaw-session-key").unwrap_or_default();
    let Some(track) = Track::of_session(session) else {
        doubles.state().odd("turns in sessions that are none");
        return Reply::error(400, "no such session");
    };
    let now = doubles.now();
    let mut state = doubles.state();
    state.runs += 1;
    state.in_flight += 1;
    let (run, in_flight, pace) = (state.runs, state.in_flight, state.pace);
    let session = state.sessions.entry(track).or_default();
    session.in_flight += 1;
    (session.run, session.turn, session.done) = (run, now, 0);
    let of_session = session.in_flight;
    let observations = &mut state.observations;
    observations.turns += 1;
    observations.turn_bytes += request.body().len();
    observations.in_flight_max = observations.in_flight_max.max(in_flight);
    observations.in_flight_of_a_session_max = observations.in_flight_of_a_session_max.max(of_session);
    doubles.tell(&state);
    let events = state.events.entry(track.agent).or_insert_with(|| world::events(track.agent)).clone();
    drop(state);

    let millis = pace.slow.filter(|(task, _)| *task == track.task).map_or(pace.millis, |(_, slow)| slow);
    let mut flight = Flight { doubles: doubles.clone(), track, landed: false };
    Reply::events(move |to| {
        let [first, last] = events.of_run(run);
        to.send(first.as_bytes())?;
        if millis > 0 {
            thread::sleep(Duration::from_millis(millis));
        }
        flight.land();
        to.send(last.as_bytes())
    })
}
