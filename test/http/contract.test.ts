/** The HTTP contract, kept by the service on Node with PostgreSQL. */
import { ManagedRuntime } from "effect";
import { startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { contractSuite } from "./contractSuite.ts";

contractSuite("the service on Node with PostgreSQL", async (settings) => {
  const database = ManagedRuntime.make(TestDatabase.layer);
  const { url } = await database.runPromise(TestDatabase);
  const service = await startService({ DATABASE_URL: url, ...settings });
  return {
    url: service.url,
    stop: async () => {
      await service.stop();
      await database.dispose();
    },
  };
});
