// What the backend's own file exports, with a token that only this test knows.

import type { GenericDatabaseReader } from "convex/server";
import type { GenericId } from "convex/values";
import type { DataModel } from "../_generated/server";

export async function requireServiceAuth(
  ctx: { db: GenericDatabaseReader<DataModel> },
  serviceToken: string,
): Promise<{ accountId: GenericId<"accounts">; serviceId: string }> {
  const account = await ctx.db.get(serviceToken as GenericId<"accounts">);
  if (account === null) throw new Error("Invalid service token");
  return { accountId: account._id, serviceId: "runtime" };
}
