/** Which variables are taken for misspelt settings, and which are let alone. */
import { assert, describe, it } from "@effect/vitest";
import { unknownSettings } from "../src/SettingCheck.ts";

const faults = (given: Readonly<Record<string, string>>) =>
  unknownSettings(new Map(Object.entries(given)));

describe("a variable that is no setting", () => {
  it.each([
    ["FULFILMENT_URL", "FULFILLMENT_URL"],
    ["FULFILLMENT_URI", "FULFILLMENT_URL"],
    ["database_url", "DATABASE_URL"],
    ["DATABASE_URI", "DATABASE_URL"],
    ["ADMINKEY", "ADMIN_KEY"],
    ["ALLOWED_HOST", "ALLOWED_HOSTS"],
    ["MAX_ATEMPTS", "MAX_ATTEMPTS"],
    ["SUBSCRIPTION_TO", "SUBSCRIPTIONS_TO"],
    ["PROCESSING_CONCURENCY", "PROCESSING_CONCURRENCY"],
    ["FULFILLMENT_TIMEOUT", "FULFILLMENT_URL, FULFILLMENT_SECRET"],
  ])("%s stops the start, and names %s", (name, named) => {
    const fault = faults({ [name]: "a secret value" }) ?? "none";
    assert.include(fault, `${name} is no setting of this service`);
    assert.include(fault, named);
    assert.notInclude(fault, "secret value");
  });

  it("is misspelt also beside the right one, if it can only be ours", () => {
    const fault = faults({ FULFILMENT_URL: "a", FULFILLMENT_URL: "b" });
    assert.include(fault, "FULFILMENT_URL is no setting");
  });

  it("is somebody else's where it only resembles one that is set", () => {
    assert.isUndefined(faults({ DATABASE_URL: "a", DATABASE_URL_2: "b" }));
  });

  it("is let alone where it has nothing to do with this service", () => {
    const others = {
      ...{ PATH: "/", HOME: "/", HOSTS: "x", POST: "x", SORT: "x", host: "x" },
      ...{ RUNNER_OS: "x", RUNNER_NAME: "x", RUNNER_TEMP: "x", EVENT: "x" },
      ...{ DATABASE_HOST: "x", DATABASE_USER: "x", LOG_DIR: "x", NODE: "x" },
      ...{ POSTGRES_PASSWORD: "x", TEST_DATABASE_URL: "x", ORDERS_KEY: "x" },
      ...{ OTEL_EXPORTER_OTLP_HEADERS: "x", OTEL_SERVICE_NAME: "x" },
      ...{ npm_config_port: "x", npm_package_name: "x", INIT_CWD: "x" },
      // What Kubernetes sets for a service named "fulfillment".
      FULFILLMENT_PORT: "tcp://10.0.0.1:80",
      FULFILLMENT_SERVICE_HOST: "10.0.0.1",
      FULFILLMENT_SERVICE_PORT_HTTP: "80",
      FULFILLMENT_PORT_80_TCP_ADDR: "10.0.0.1",
      PROCESSING_PORT_80_TCP: "tcp://10.0.0.2:80",
    };
    assert.isUndefined(faults(others));
  });

  it("is named with four others at most", () => {
    const many = Array.from(
      { length: 100 },
      (_, n) => [`PROCESSING_X${"I".repeat(n)}`, "x"] as const,
    );
    const fault = faults(Object.fromEntries(many)) ?? "";
    assert.lengthOf(fault.match(/is no setting/g) ?? [], 5);
  });
});
