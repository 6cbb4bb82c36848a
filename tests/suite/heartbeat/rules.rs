//! The rules of runtime-behaviour §6 and §7, each with the test that shows what this runtime does.

use std::fs;
use std::path::{Path, PathBuf};

/// A rule, what this runtime does, and the name of the test.
type Row = (&'static str, &'static str, &'static str);

const HEARTBEATS: [Row; 30] = [
    (
        "H-1",
        "1 minute to 24 hours, 5 minutes by default",
        "h_1_the_interval_is_bounded_and_a_correction_is_explained",
    ),
    ("H-2", "as specified", "h_2_the_first_beats_are_spread_over_a_part_of_the_interval"),
    (
        "H-3",
        "from the beginning of the last one",
        "h_3_beats_are_one_interval_apart_counted_from_their_beginning",
    ),
    ("H-4", "as specified", "h_4_a_new_agent_begins_within_two_seconds_and_an_unchanged_one_is_left_alone"),
    ("H-5", "as specified", "h_5_a_removed_agent_has_no_beat_and_the_end_of_its_last_one_changes_nothing"),
    ("H-6", "a stop is a restart later", "after_a_restart_an_agent_waits_for_the_rest_of_its_interval"),
    ("H-7", "looked up at each heartbeat (W-17)", "a_beat_uses_the_agent_as_the_roster_has_it_now"),
    ("H-8", "the workers of deliveries (W-19)", "heartbeats_have_the_worker_limit_of_deliveries"),
    ("H-9", "the roster names the orchestrator", "an_idle_agent_stays_online_by_its_report_alone"),
    ("H-10", "retried, never as an empty list", "a_beat_whose_tasks_cannot_be_read_is_tried_again"),
    ("H-11", "also blocked tasks (W-21)", "h_12_the_orchestrator_tracks_all_of_them_stalest_first"),
    (
        "H-12",
        "as specified",
        "h_12_the_tasks_of_an_agent_are_its_own_in_progress_and_assigned_ones_newest_first",
    ),
    ("H-13", "as specified", "h_13_the_focus_task_is_the_first_one"),
    (
        "H-14",
        "the threads of 25 tasks",
        "a_change_in_the_second_after_a_saved_beat_is_worked_on_at_the_next_one",
    ),
    ("H-15", "rules are instructions", "each_item_of_section_6_3_is_in_the_question_that_needs_it"),
    ("H-16", "as specified", "a_beat_with_tool_calls_is_not_quiet"),
    ("H-17", "line-exact (W-20)", "section_6_4_a_reply_is_posted_to_a_task_of_the_prompt_or_not_at_all"),
    ("H-18", "settled by reading (W-20)", "a_post_whose_answer_was_lost_is_found_in_the_thread"),
    ("H-19", "without a turn", "the_orchestrator_follows_up_on_stale_tasks_without_a_turn"),
    ("H-20", "as specified", "a_reply_is_posted_to_a_task_of_the_prompt_or_to_none"),
    ("H-21", "counts of sent, saved and failed ones", "a_beat_with_tool_calls_is_not_quiet"),
    ("H-22", "the status `error` (W-22)", "a_failing_beat_is_reported_and_the_next_one_is_tried"),
    ("H-23", "as specified", "requests_of_the_agent_itself_leave_fewer_follow_ups"),
    ("H-24", "stale ones only (W-21)", "the_orchestrator_follows_up_on_stale_tasks_without_a_turn"),
    ("H-25", "as specified", "h_25_only_words_of_an_assignee_are_a_reply"),
    ("H-26", "as specified", "h_26_and_h_27_a_task_is_stale_after_its_last_reply_or_change"),
    ("H-27", "also blocked tasks (W-21)", "h_26_and_h_27_a_task_is_stale_after_its_last_reply_or_change"),
    ("H-28", "as specified", "h_28_the_assignees_are_asked_once_each_and_the_orchestrator_never"),
    ("H-29", "as specified", "h_29_the_request_names_the_minutes_and_the_task"),
    ("H-30", "as specified", "the_orchestrator_follows_up_on_stale_tasks_without_a_turn"),
];

const PROFILES: [Row; 18] = [
    ("A-1", "at once and at every interval", "workspaces_follow_the_board_and_the_program_says_since_when"),
    (
        "A-2",
        "the roster alone",
        "h_4_a_new_agent_begins_within_two_seconds_and_an_unchanged_one_is_left_alone",
    ),
    ("A-3", "as specified", "h_5_a_removed_agent_has_no_beat_and_the_end_of_its_last_one_changes_nothing"),
    ("A-4", "at the next use", "a_beat_uses_the_agent_as_the_roster_has_it_now"),
    ("A-5", "as specified", "without_the_variable_nothing_is_written"),
    ("A-6", "shown in /health", "one_agent_with_an_obstacle_does_not_stop_the_others"),
    ("A-7", "every field, at the next use (W-17)", "a_beat_uses_the_agent_as_the_roster_has_it_now"),
    ("A-8", "at most 64 characters, and not `-` first", "a_slug_is_a_folder_name_by_the_table_a_8"),
    ("A-9", "as specified", "the_front_matter_is_completed_by_the_table_a_9"),
    (
        "A-10",
        "a bad skill is left out alone",
        "a_bad_skill_is_left_out_with_a_reason_and_the_others_are_written",
    ),
    ("A-11", "as specified", "the_texts_that_ship_fit_and_name_the_worktrees"),
    (
        "A-12",
        "in the question since 2026.9",
        "a_current_release_gets_no_heartbeat_file_and_its_skills_in_agents_md",
    ),
    ("A-13", "SHA-256 (W-27)", "blank_texts_have_defaults_and_a_blank_soul_is_reported"),
    ("A-14", "atomic (W-27)", "a_kill_at_any_write_leaves_one_of_two_complete_states"),
    ("A-15", "as specified", "a_sync_writes_every_file_and_the_second_one_nothing"),
    ("A-16", "the profile is removed (W-27)", "a_removed_agent_loses_its_profile_and_keeps_its_work"),
    (
        "A-17",
        "the gateway reloads by itself",
        "the_unit_of_the_gateway_reads_the_generated_file_and_writes_the_gateways_own",
    ),
    ("A-18", "`gateway-config`", "each_variable_has_its_effect"),
];

fn sources(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_rule_of_sections_6_and_7_has_a_test() {
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite"), &mut text);
    for (rows, letter) in [(&HEARTBEATS[..], 'H'), (&PROFILES[..], 'A')] {
        for (number, (rule, _, test)) in (1..).zip(rows) {
            assert_eq!(*rule, format!("{letter}-{number}"), "the rules are in their order");
            assert!(text.contains(&format!("#[test]\nfn {test}()")), "{rule}: there is no test {test}");
        }
    }
}
