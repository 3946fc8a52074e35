/** The OpenAPI document, held to the rules of a linter (`redocly.yaml`). */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { OpenApi } from "effect/http-api";
import { afterAll, assert, beforeAll, describe, it } from "vitest";
import { Api } from "../../src/api/Api.ts";

const fileOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What the linter has to say of a document, each as `rule at place`. */
const lint = (directory: string, document: object): ReadonlyArray<string> => {
  const file = join(directory, "openapi.json");
  writeFileSync(file, JSON.stringify(document));
  const { stderr, stdout } = spawnSync(
    process.execPath,
    [
      fileOf("../../node_modules/@redocly/cli/bin/cli.js"),
      ...["lint", file, "--config", fileOf("redocly.yaml")],
      "--format=json",
    ],
    {
      encoding: "utf8",
      // It asks nobody and tells nobody.
      env: {
        ...process.env,
        REDOCLY_TELEMETRY: "off",
        REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
      },
    },
  );
  assert.match(stdout, /^\{/, stderr);
  const { problems } = JSON.parse(stdout) as {
    readonly problems: ReadonlyArray<{
      readonly ruleId: string;
      readonly location: ReadonlyArray<{ readonly pointer?: string }>;
    }>;
  };
  return problems.map(
    ({ location, ruleId }) => `${ruleId} at ${location[0]?.pointer}`,
  );
};

describe("the OpenAPI document", () => {
  const document = OpenApi.fromApi(Api);
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "openapi-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it("has no fault and no warning", () => {
    assert.deepStrictEqual(lint(directory, document), []);
  });

  it("would have them, were anything missing that readers look for", () => {
    const { info, servers: _, ...rest } = structuredClone(document);
    const { license: __, ...unlicensed } = info;
    const place = rest.paths["/api/orders/"]?.post;
    const { PlaceOrder } = rest.components.schemas;
    assert.isDefined(place);
    assert.isDefined(PlaceOrder);
    delete place.description;
    delete rest.tags[0]?.description;
    delete (PlaceOrder.properties as Record<string, { items?: object }>)
      .item_ids?.items;
    assert.deepStrictEqual(lint(directory, { info: unlicensed, ...rest }), [
      "no-empty-servers at #/openapi",
      "info-license at #/info",
      "tag-description at #/tags/0/description",
      "operation-description at #/paths/~1api~1orders~1/post/description",
      "rule/arrays-name-their-items at #/components/schemas/PlaceOrder/properties/item_ids",
    ]);
  });

  it("says what an event is, in the feed and in the stream", () => {
    const bodyOf = (path: string, type: string) => {
      const response = document.paths[path]?.get?.responses[200];
      assert.deepStrictEqual(Object.keys(response?.content ?? {}), [type]);
      const { schema, ...rest } = response?.content?.[type] ?? { schema: {} };
      assert.deepStrictEqual(rest, {}, "words that are not OpenAPI's");
      return schema;
    };
    assert.deepStrictEqual(
      bodyOf("/api/events/", "application/cloudevents-batch+json"),
      { type: "array", items: { $ref: "#/components/schemas/CloudEvent" } },
    );
    assert.deepStrictEqual(bodyOf("/api/events/stream/", "text/event-stream"), {
      $ref: "#/components/schemas/StreamedEvent",
    });
    const { CloudEvent, CloudEventEncoded, StreamedEvent } =
      document.components.schemas;
    assert.sameMembers(CloudEvent?.required as Array<string>, [
      ...["specversion", "id", "source", "type", "subject", "time"],
      ...["datacontenttype", "data"],
    ]);
    const kinds = StreamedEvent?.anyOf as
      | ReadonlyArray<{ readonly properties: { readonly data: object } }>
      | undefined;
    assert.deepStrictEqual(kinds?.[0]?.properties.data, {
      $ref: "#/components/schemas/CloudEventEncoded",
    });
    assert.deepInclude(CloudEventEncoded, {
      type: "string",
      contentMediaType: "application/json",
      contentSchema: { $ref: "#/components/schemas/CloudEvent" },
    });
  });

  it("refuses no field that it does not name, as the service ignores them", () => {
    assert.notInclude(
      JSON.stringify(document.components.schemas),
      '"additionalProperties":false',
    );
  });

  it("describes each of its words once", () => {
    const twice = Object.keys(document.components.schemas).filter((name) =>
      /_\d+$/.test(name),
    );
    assert.deepStrictEqual(twice, []);
  });

  it("names what is refused before it comes to an endpoint", () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const { responses } = operation as OpenApi.OpenAPISpecOperation;
        const asked = `${method} ${path}`;
        const isProbe = path.startsWith("/health/");
        assert.strictEqual("421" in responses, !isProbe, asked);
        assert.strictEqual("403" in responses, !isProbe, asked);
        assert.strictEqual("401" in responses, !isProbe, asked);
        assert.strictEqual("429" in responses, !isProbe, asked);
        assert.strictEqual(
          JSON.stringify(responses["403"] ?? {}).includes("CrossSite"),
          method !== "get",
          asked,
        );
      }
    }
  });
});
