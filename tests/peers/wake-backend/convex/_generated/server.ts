// The part of the Mission Control backend's schema that `openclaw/convex/wake.ts` relies on (backend-contract §2.37).

import { defineSchema, defineTable, queryGeneric } from "convex/server";
import type { DataModelFromSchemaDefinition, QueryBuilder } from "convex/server";
import { v } from "convex/values";

const schema = defineSchema({
  accounts: defineTable({ name: v.string(), serviceTokenHash: v.optional(v.string()) }),
  notifications: defineTable({
    accountId: v.id("accounts"),
    recipientType: v.union(v.literal("user"), v.literal("agent")),
    recipientId: v.string(),
    deliveredAt: v.optional(v.number()),
    createdAt: v.number(),
  }).index("by_account_undelivered_created", ["accountId", "recipientType", "deliveredAt", "createdAt"]),
});

export type DataModel = DataModelFromSchemaDefinition<typeof schema>;
export const query = queryGeneric as QueryBuilder<DataModel, "public">;
