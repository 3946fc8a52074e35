/** Every scenario, in the order they are played. */
import type { Scenario } from "./Scenario.ts";
import * as ClusterFaults from "./scenarios/ClusterFaults.ts";
import * as DatabaseFaults from "./scenarios/DatabaseFaults.ts";
import { lateBegin } from "./scenarios/LateBegin.ts";
import * as NetworkFaults from "./scenarios/NetworkFaults.ts";
import { overload } from "./scenarios/Overload.ts";
import * as ReceiverFaults from "./scenarios/ReceiverFaults.ts";
import * as ServiceFaults from "./scenarios/ServiceFaults.ts";
import { databaseBlink, silentNetwork } from "./scenarios/SilentNetwork.ts";
import { stuckRow } from "./scenarios/StuckRow.ts";
import { twins } from "./scenarios/Twins.ts";

export const scenarios: ReadonlyArray<Scenario> = [
  ServiceFaults.kill,
  ServiceFaults.archiving,
  ServiceFaults.subscriberAway,
  DatabaseFaults.postgresRestart,
  DatabaseFaults.backendKill,
  DatabaseFaults.poolExhaustion,
  NetworkFaults.commitCut,
  NetworkFaults.slowNetwork,
  databaseBlink,
  silentNetwork,
  ServiceFaults.freeze,
  ReceiverFaults.poison,
  ReceiverFaults.receiverDown,
  ReceiverFaults.receiverAway,
  ServiceFaults.clock,
  DatabaseFaults.heldSnapshot,
  stuckRow,
  lateBegin,
  ServiceFaults.deploy,
  twins,
  overload,
  ClusterFaults.clusterKill,
  ClusterFaults.clusterFreeze,
  ClusterFaults.clusterPartition,
  ClusterFaults.clusterRollingDeploy,
];
