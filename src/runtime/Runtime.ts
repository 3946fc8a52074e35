/** What the service needs of the runtime it runs on. */
import {
  Data,
  type Duration,
  type FileSystem,
  type Layer,
  type Path,
  type Redacted,
} from "effect";
import type { Etag, HttpPlatform, HttpServer } from "effect/http";
import type { SqlClient } from "effect/sql";

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  /** How long requests under way may go on once the server is to stop. */
  readonly shutdownTimeout: Duration.Duration;
}

export interface PostgresOptions {
  readonly url: Redacted.Redacted;
  /** Connections at most. */
  readonly poolSize: number;
}

export interface Runtime {
  readonly services: Layer.Layer<FileSystem.FileSystem | Path.Path>;
  readonly httpServer: (
    options: HttpServerOptions,
  ) => Layer.Layer<
    | HttpServer.HttpServer
    | HttpPlatform.HttpPlatform
    | Etag.Generator
    | FileSystem.FileSystem
    | Path.Path,
    StartFailed
  >;
  /** PostgreSQL on its own. */
  readonly postgres: (
    options: PostgresOptions,
  ) => Layer.Layer<SqlClient.SqlClient, StartFailed>;
  /** PostgreSQL inside this process, with its data in `dataDir`. */
  readonly embedded: (options: {
    readonly dataDir: string;
  }) => Layer.Layer<SqlClient.SqlClient, StartFailed>;
  /** What other machines call this one. */
  readonly hostname: () => string;
  readonly processId: number;
  /** Whether somebody reads the output on a terminal. */
  readonly isTerminal: boolean;
}

/** Why the service cannot start, in one line that says what to do. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly message: string;
}> {}
