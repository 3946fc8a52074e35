/** The HTTP contract, kept by the service on every runtime, with PostgreSQL. */
import { ManagedRuntime } from "effect";
import { runtimes, startService } from "../support/serviceProcess.ts";
import { TestDatabase } from "../support/testDatabase.ts";
import { contractSuite } from "./contractSuite.ts";
import { overSocket } from "./transports.ts";

for (const runtime of runtimes) {
  contractSuite(`the service on ${runtime}`, async (settings) => {
    const database = ManagedRuntime.make(TestDatabase.layer);
    const { url } = await database.runPromise(TestDatabase);
    const service = await startService(
      { DATABASE_URL: url, ...settings },
      "ready",
      { runtime },
    );
    return {
      transport: overSocket(service.url),
      stop: async () => {
        await service.stop();
        await database.dispose();
      },
    };
  });
}
