/** `DATABASE_URL`: its hosts, and what its `sslmode` asks for. */
import { assert, describe, it } from "@effect/vitest";
import { Redacted, Result } from "effect";
import * as DatabaseUrl from "../../src/platform/DatabaseUrl.ts";

const parsed = (url: string) => Result.getOrThrow(DatabaseUrl.parse(url));

/** How the first host is spoken to, and whether it has to prove itself. */
const encryption = (url: string) => {
  const { encryption, hosts } = parsed(url);
  const how = encryption(hosts[0] as DatabaseUrl.Host);
  return how._tag === "Always"
    ? `Always, ${how.options.rejectUnauthorized ? "verified" : "unverified"}`
    : how._tag;
};

describe("the hosts of a DATABASE_URL", () => {
  it.each([
    ["postgres://u:p@db/orders", ["db:5432"]],
    ["postgresql://db:6000", ["db:6000"]],
    ["postgres://u:p,q@a:1,b:2,c/orders", ["a:1", "b:2", "c:5432"]],
    ["postgres://u@[::1]:1,[::2]/orders", ["::1:1", "::2:5432"]],
    ["postgres://u@%2Frun%2Fpostgresql/orders", ["/run/postgresql:5432"]],
    ["postgres:///orders?host=/run/pg&port=7", ["/run/pg:7"]],
    ["postgres:///orders", ["localhost:5432"]],
    ["postgres://a,b/o?target_session_attrs=read-write", ["a:5432", "b:5432"]],
  ])("are read from %s", (url, hosts) => {
    assert.deepStrictEqual(
      parsed(url).hosts.map(({ name, port }) => `${name}:${port}`),
      hosts,
    );
  });

  it("each have a URL of their own, with all but what is read here", () => {
    const { hosts } = parsed(
      "postgres://u:p%40@a:1,b:2/orders?sslmode=require&connect_timeout=3",
    );
    assert.deepStrictEqual(
      hosts.map(({ url }) => Redacted.value(url)),
      [
        "postgres://u:p%40@a:1/orders?connect_timeout=3",
        "postgres://u:p%40@b:2/orders?connect_timeout=3",
      ],
    );
  });
});

describe("a password that SASLprep changes", () => {
  it.each([
    ["plain", "p%40ss word", false],
    ["composed", "w\u00f6rd", false],
    ["no-break space", "a%C2%A0b", true],
    ["decomposed", "wo\u0308rd", true],
    ["soft hyphen", "a%C2%ADb", true],
    ["ligature", "\ufb01ne", true],
    ["full width", "\uff21", true],
  ])("is told from others: %s", (_, password, isChanged) => {
    for (const url of [
      `postgres://u:${password}@a,b/orders`,
      `postgres://u@a/orders?password=${password}`,
    ]) {
      const hint = DatabaseUrl.loginHint(url);
      assert.strictEqual(hint !== undefined, isChanged, url);
      assert.notInclude(hint ?? "", password);
    }
  });

  it("is none where there is no password", () => {
    assert.isUndefined(DatabaseUrl.loginHint("postgres://%2Frun%2Fpg/orders"));
  });
});

describe("sslmode", () => {
  it.each([
    ["postgres://db/o?sslmode=disable", "Never"],
    ["postgres://db/o?sslmode=allow", "IfOffered"],
    ["postgres://db/o?sslmode=prefer", "IfOffered"],
    ["postgres://db/o", "IfOffered"],
    ["postgres://localhost/o", "Never"],
    ["postgres://127.0.0.1/o", "Never"],
    ["postgres://[::1]/o", "Never"],
    ["postgres://127.0.0.1/o?sslmode=prefer", "IfOffered"],
    ["postgres://%2Frun%2Fpg/o?sslmode=verify-full", "Never"],
    ["postgres://db/o?sslmode=require", "Always, unverified"],
    ["postgres://db/o?sslmode=verify-ca", "Always, verified"],
    ["postgres://db/o?sslmode=verify-full", "Always, verified"],
    ["postgres://db/o?sslrootcert=system", "Always, verified"],
  ])("of %s means %s", (url, means) => {
    assert.strictEqual(encryption(url), means);
  });

  it.each([
    ["sslmode=on", "sslmode has to be one of disable, allow"],
    [
      "sslmode=require&sslrootcert=system",
      "sslrootcert=system needs sslmode=verify-full",
    ],
    [
      "sslmode=verify-ca&sslrootcert=/none.crt",
      'sslrootcert "/none.crt" cannot be read (ENOENT)',
    ],
    [
      `sslmode=verify-ca&sslrootcert=${import.meta.filename}`,
      "has nothing in PEM in it",
    ],
    ["sslcrl=/some.crl", "sslcrl has no effect here"],
    ["channel_binding=require", "channel_binding has no effect here: remove"],
    ["application_name=x", "application_name has no effect here"],
    ["ssl_mode=require", "ssl_mode has no effect here: did you mean sslmode?"],
    ["connection_limit=5", "what has an effect is sslmode, "],
    ["search_path=shop", "write options=-c%20search_path%3Dshop in its place"],
    ["schema=a,secret", "write options=-c%20search_path%3DNAME in its place"],
    ["currentSchema=shop", "the tables would go to another schema"],
    [
      "sslrootcert=/ca.crt",
      "sslrootcert would have no effect with sslmode left",
    ],
    [
      "sslmode=prefer&sslcert=/a&sslkey=/b",
      "sslcert, sslkey would have no effect with sslmode prefer",
    ],
    ["target_session_attrs=standby", "can only be read-write"],
  ])("is refused as part of %s", (query, words) => {
    const fault = DatabaseUrl.parse(`postgres://u:secret@db/o?${query}`);
    assert.isTrue(Result.isFailure(fault));
    if (Result.isSuccess(fault)) return;
    assert.include(fault.failure, words);
    assert.notInclude(fault.failure, "secret");
  });

  it("is refused without its password, where that has a ? in it", () => {
    const fault = DatabaseUrl.parse("postgres://u:my?secret@db/o");
    assert.deepStrictEqual(
      Result.isFailure(fault) && fault.failure.split(":")[0],
      "one of its parameters has no effect here",
    );
  });

  it.each([
    ["connect_timeout=3&user=a&password=b&dbname=c&host=h&port=1"],
    ["options=-c%20search_path%3Dshop&sslmode=disable"],
  ])("has an effect as %s", (query) => {
    assert.isTrue(
      Result.isSuccess(DatabaseUrl.parse(`postgres:///o?${query}`)),
    );
  });
});
