/**
 * The example for Kubernetes is what Kubernetes takes (the schemas and types of
 * `kubernetes-models`, which are made from its OpenAPI document), and fits the
 * service and its image.
 */
import { spawnSync } from "node:child_process";
import {
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ConfigProvider, Duration, Effect } from "effect";
import {
  Deployment,
  type IDeployment,
} from "kubernetes-models/apps/v1/Deployment";
import {
  type IPodDisruptionBudget,
  PodDisruptionBudget,
} from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { type IService, Service } from "kubernetes-models/v1/Service";
import { afterAll, assert, describe, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { AppConfig } from "../../src/AppConfig.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");

const [deployment, budget, service, ...others] = parseAllDocuments(
  read("test/example/kubernetes.yaml"),
).map((document) => document.toJS()) as [
  IDeployment,
  IPodDisruptionBudget,
  IService,
];

/** Beside the packages of this repository, but outside of it. */
const folder = mkdtempSync(join(tmpdir(), "orders-kubernetes-"));
symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
afterAll(() => rmSync(folder, { recursive: true }));

const manifests = [
  ["IDeployment", "kubernetes-models/apps/v1/Deployment", deployment],
  [
    "IPodDisruptionBudget",
    "kubernetes-models/policy/v1/PodDisruptionBudget",
    budget,
  ],
  ["IService", "kubernetes-models/v1/Service", service],
] as const;

/** What the compiler says of manifests; unknown fields pass the schemas. */
const typeErrors = (
  typed: ReadonlyArray<readonly [string, string, unknown]>,
): ReadonlyArray<string> => {
  const lines = typed.map(
    ([type, from, manifest]) =>
      `import type { ${type} } from "${from}";\nexport const a${type}: ${type} = ${JSON.stringify(manifest)};\n`,
  );
  writeFileSync(join(folder, "manifests.mts"), lines.join(""));
  const compiler = join(root, "node_modules/typescript/bin/tsc");
  const flags = "--noEmit --strict --skipLibCheck --module nodenext".split(" ");
  const { status, stdout } = spawnSync(
    process.execPath,
    [compiler, ...flags, "--types", "", "manifests.mts"],
    { cwd: folder, encoding: "utf8" },
  );
  const errors = stdout.split("\n").filter((line) => line !== "");
  assert.strictEqual(status === 0, errors.length === 0);
  return errors;
};

const pod = deployment.spec?.template.spec;
const container = pod?.containers[0];

describe("the example for Kubernetes", () => {
  it("has three manifests, of the kinds it says", () => {
    assert.lengthOf(others, 0);
    for (const [Kind, manifest] of [
      [Deployment, deployment],
      [PodDisruptionBudget, budget],
      [Service, service],
    ] as const) {
      assert.isTrue(Kind.is(manifest), Kind.kind);
    }
  });

  it("keeps to the schemas of Kubernetes", () => {
    new Deployment(deployment).validate();
    new PodDisruptionBudget(budget).validate();
    new Service(service).validate();
  });

  it("has no field that Kubernetes does not know", () => {
    assert.deepStrictEqual(typeErrors(manifests), []);
    const errors = typeErrors(
      manifests.map(([type, from, manifest]) => [
        type,
        from,
        { ...manifest, spec: { ...manifest.spec, selektor: {} } },
      ]),
    );
    assert.lengthOf(errors, manifests.length);
    for (const error of errors) assert.include(error, "selektor");
  });

  it("selects the pods it makes", () => {
    const labels = deployment.spec?.template.metadata?.labels;
    assert.isNotEmpty(labels);
    for (const selected of [
      deployment.spec?.selector.matchLabels,
      budget.spec?.selector?.matchLabels,
      service.spec?.selector,
      ...(pod?.topologySpreadConstraints ?? []).map(
        ({ labelSelector }) => labelSelector?.matchLabels,
      ),
    ]) {
      assert.deepStrictEqual(selected, labels);
    }
  });

  it("names one port, the image's, wherever a port is named", () => {
    const [port] = container?.ports ?? [];
    assert.match(
      read("Dockerfile"),
      new RegExp(`PORT=${port?.containerPort} `),
    );
    for (const named of [
      service.spec?.ports?.[0]?.targetPort,
      container?.startupProbe?.httpGet?.port,
      container?.readinessProbe?.httpGet?.port,
      container?.livenessProbe?.httpGet?.port,
    ]) {
      assert.strictEqual(named, port?.name);
    }
  });

  it("runs as the image's user", () => {
    const { runAsUser, runAsGroup } = pod?.securityContext ?? {};
    assert.include(read("Dockerfile"), `USER ${runAsUser}:${runAsGroup}\n`);
  });

  it("sets only what is a setting", () => {
    const settings = new Set(
      Array.from(
        read(".env.example").matchAll(/^# ([A-Z_]+)=/gm),
        ([, name]) => name,
      ),
    );
    for (const { name } of container?.env ?? []) {
      assert.isTrue(settings.has(name), name);
    }
  });

  it("gives the service the time that stopping may take", async () => {
    const { shutdownTimeout } = await Effect.runPromise(
      Effect.provideService(
        AppConfig,
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromUnknown({}),
      ),
    );
    const before = container?.lifecycle?.preStop?.sleep?.seconds ?? 0;
    assert.isAbove(
      pod?.terminationGracePeriodSeconds ?? 0,
      // The last ten are those of `stopWithin` in `src/App.ts`.
      before + Duration.toSeconds(shutdownTimeout) + 10,
    );
  });
});
