// The wake query of Mission Control Runtime, for people who host the Mission Control backend themselves.
//
// Copy this file to convex/service/wake.ts of the backend and deploy it. The runtime finds the query there
// (service/wake:changed), subscribes to it, and lists notifications when its value changes. Without the file the
// runtime polls. Nothing else in the backend changes.
//
// The query reads the account, to check the token, and one row of the index. Convex runs it again when one of them
// changes: for each new or delivered notification, and for each status report of the runtime.

import { v } from "convex/values";
import { query } from "../_generated/server";
import { requireServiceAuth } from "../lib/service_auth";

/** The time of the newest undelivered notification of an agent, or 0 if there is none. */
export const changed = query({
  args: { accountId: v.id("accounts"), serviceToken: v.string() },
  returns: v.number(),
  handler: async (ctx, args) => {
    const { accountId } = await requireServiceAuth(ctx, args.serviceToken);
    if (accountId !== args.accountId) {
      throw new Error("Forbidden: Service token does not match account");
    }
    const newest = await ctx.db
      .query("notifications")
      .withIndex("by_account_undelivered_created", (q) =>
        q.eq("accountId", accountId).eq("recipientType", "agent").eq("deliveredAt", undefined),
      )
      .order("desc")
      .first();
    // Rows of one millisecond differ only in `_creationTime`. A row that a later message is folded into keeps that,
    // and gets a new `createdAt`.
    return newest === null ? 0 : Math.max(newest.createdAt, newest._creationTime);
  },
});
