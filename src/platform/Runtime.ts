/** What the service needs of the runtime it runs on. */
import {
  type Console,
  Data,
  type Duration,
  type Effect,
  type FileSystem,
  type Layer,
  type Path,
  type Redacted,
  type Scope,
} from "effect";
import type {
  Etag,
  HttpClient,
  HttpPlatform,
  HttpServer,
  HttpServerError,
  HttpServerRequest,
} from "effect/http";
import type { SqlClient } from "effect/sql";
import type { Connections } from "../persistence/Connections.ts";

export interface HttpServerOptions {
  readonly host: string;
  readonly port: number;
  /** Whether other processes listen on the port too. */
  readonly isShared: boolean;
  /** How long requests under way may go on once the server is to stop. */
  readonly shutdownTimeout: Duration.Duration;
}

export interface PostgresOptions {
  readonly url: Redacted.Redacted;
  /** Connections at most, of all kinds together; 2 at least. */
  readonly poolSize: number;
}

/** Where receivers that others name may be: on the internet only, or anywhere. */
export type ReceiverHosts = "public" | "any";

/** How a process ended: its exit code, or what ended it. */
export type Ended = number | string;

/** A process that runs the service, seen from its supervisor. */
export interface Instance {
  /** The address that it serves, once it is ready. */
  readonly ready: Effect.Effect<string>;
  readonly ended: Effect.Effect<Ended>;
}

/** Several processes of this program, on one port. */
export interface Instances {
  /** The port for all of them: the one wanted, or for 0 a free one. */
  readonly choosePort: (wanted: {
    readonly host: string;
    readonly port: number;
  }) => Effect.Effect<number, StartFailed>;
  /** Starts one; the end of the scope stops it, and waits for its end. */
  readonly start: (options: {
    readonly number: number;
    readonly port: number;
    /** After so long it is killed. */
    readonly stopLimit: Duration.Duration;
  }) => Effect.Effect<Instance, never, Scope.Scope>;
  /** In an instance: tells the supervisor that it is ready, and its address. */
  readonly tellReady: (base: string) => Effect.Effect<void>;
  /** In an instance: returns when there is no supervisor any more. */
  readonly supervisorGone: Effect.Effect<void>;
}

/** Where the log goes, with a limit to what is stored for a slow reader. */
export interface LogOutput {
  readonly console: Console.Console;
  /** Lines dropped since the start. */
  readonly dropped: () => number;
  /** Whether the log is read now, as far as this process knows. */
  readonly isRead: () => boolean;
}

export interface Runtime {
  /** The words after the program's name. */
  readonly args: ReadonlyArray<string>;
  /** Left out where one process is all there is. */
  readonly instances?: Instances;
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
  /**
   * Reads the body of a request of that server: gives each chunk to `onChunk`,
   * and waits for the effect that it returns, if it returns one. Left out where
   * there is no shorter way than Effect's stream.
   */
  readonly readChunks?: <E, R>(
    request: HttpServerRequest.HttpServerRequest,
    onChunk: (chunk: Uint8Array) => Effect.Effect<void, E, R> | undefined,
  ) => Effect.Effect<void, E | HttpServerError.HttpServerError, R>;
  /** PostgreSQL on its own. */
  readonly postgres: (
    options: PostgresOptions,
  ) => Layer.Layer<SqlClient.SqlClient | Connections, StartFailed>;
  /** PostgreSQL inside this process, with its data in `dataDir`. */
  readonly embedded: (options: {
    readonly dataDir: string;
  }) => Layer.Layer<SqlClient.SqlClient, StartFailed>;
  /**
   * A client that follows no redirects. With `public` it connects to no private
   * address, whatever a name resolves to: it fails with the code `EPRIVATE`.
   */
  readonly httpClientTo: (
    hosts: ReceiverHosts,
  ) => Layer.Layer<HttpClient.HttpClient>;
  /** Whether the host of a URL is seen to be private without resolving it. */
  readonly isPrivateHost: (hostname: string) => boolean;
  /** The files of the console, by name. */
  readonly consoleFiles: () => ReadonlyMap<string, string>;
  /** What other machines call this one. */
  readonly hostname: () => string;
  readonly processId: number;
  /** Left out, the log goes to the global console, whatever that stores. */
  readonly logOutput?: LogOutput;
  /** Whether somebody reads the output on a terminal. */
  readonly isTerminal: boolean;
}

/** Why the service cannot start, in one line that says what to do. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  readonly message: string;
}> {}

export const cannotListen = (
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown,
) =>
  new StartFailed({
    message: `Cannot listen on ${host}:${port} (HOST, PORT): ${
      cause instanceof Error ? cause.message : String(cause)
    }`,
  });
