/** One PostgreSQL for the whole run; `testDatabase` makes databases in it. */
import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgresServer.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A connection string without the database's name at its end. */
    postgresUrl: string;
  }
}

export default async (project: TestProject) => {
  const given = process.env.TEST_DATABASE_URL;
  if (given !== undefined && given !== "") {
    project.provide("postgresUrl", given.replace(/\/[^/]*$/, ""));
    return;
  }
  const postgres = await startPostgres();
  project.provide("postgresUrl", postgres.url);
  return postgres.stop;
};
