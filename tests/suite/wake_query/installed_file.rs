//! `openclaw/convex/wake.ts`, which people copy to their backend: it must name what the backend has (backend-contract
//! §2.37). `make test-peers` runs it.

use crate::support::documents::project;

#[test]
fn the_file_uses_what_the_backend_has_and_reads_one_row() {
    let file = std::fs::read_to_string(project("openclaw/convex/wake.ts")).unwrap();
    for part in [
        // The path of a function is its file and its name: service/wake:changed.
        "convex/service/wake.ts",
        "export const changed = query({",
        r#"import { v } from "convex/values";"#,
        r#"import { query } from "../_generated/server";"#,
        r#"import { requireServiceAuth } from "../lib/service_auth";"#,
        r#"args: { accountId: v.id("accounts"), serviceToken: v.string() }"#,
        "await requireServiceAuth(ctx, args.serviceToken)",
        r#".query("notifications")"#,
        r#".withIndex("by_account_undelivered_created""#,
        r#"q.eq("accountId", accountId).eq("recipientType", "agent").eq("deliveredAt", undefined)"#,
        r#".order("desc")"#,
        ".first()",
    ] {
        assert!(file.contains(part), "{part}");
    }
    for part in ["Date.now", "collect(", "take(", "\"runtimes\"", "mutation", "action"] {
        assert!(!file.contains(part), "{part}");
    }
    assert_eq!(file.matches("ctx.db").count(), 1, "one row is read");
}
