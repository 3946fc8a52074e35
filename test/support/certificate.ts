/** Certificates made for a test, and a PostgreSQL that speaks TLS with one. */
import { chown, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generate } from "selfsigned";
import { type PostgresServer, startPostgres } from "./postgresServer.ts";

/** A certificate for a name, which signs itself and so is its own root. */
const certificateFor = (name: string) =>
  generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: name }] },
    ],
  });

export interface TlsPostgres extends PostgresServer {
  /** The file to trust. */
  readonly rootCertificate: string;
  /** One that has signed nothing here. */
  readonly otherCertificate: string;
}

/** Its certificate is for the name `localhost`, not for its address. */
export const startTlsPostgres = async (): Promise<TlsPostgres> => {
  const postgres = await startPostgres();
  const { dataDir, server } = postgres;
  const own = await certificateFor("localhost");
  const files = {
    "server.crt": own.cert,
    "server.key": own.private,
    "other.crt": (await certificateFor("localhost")).cert,
  };
  const { gid, uid } = await stat(dataDir);
  for (const [name, text] of Object.entries(files)) {
    const file = join(dataDir, name);
    await writeFile(file, text, { mode: 0o600 });
    await chown(file, uid, gid);
  }
  const client = server.getPgClient("postgres", "127.0.0.1");
  await client.connect();
  await client.query("ALTER SYSTEM SET ssl = on");
  await client.query("SELECT pg_reload_conf()");
  await client.end();
  return {
    ...postgres,
    rootCertificate: join(dataDir, "server.crt"),
    otherCertificate: join(dataDir, "other.crt"),
  };
};
