# The service on the Node of its base image: Node runs the TypeScript as it is,
# so there is nothing to build, only dependencies to install.
#
#   docker build --tag order-service .
#   docker run --publish 8000:8000 --volume orders:/data order-service
#
# Without DATABASE_URL the orders are in /data: keep it in a volume.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS packages
ENV NPM_CONFIG_UPDATE_NOTIFIER=false \
    NPM_CONFIG_AUDIT=false \
    NPM_CONFIG_FUND=false
WORKDIR /app
COPY package.json package-lock.json ./

# What the service needs, without what only its developers read.
FROM packages AS production
RUN --mount=type=cache,target=/root/.npm \
    npm ci --omit=dev \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' \) -delete

# `docker compose run --rm test`. All is owned by the user that runs the tests:
# Vite writes beside its configuration, and PostgreSQL refuses to run as root.
FROM packages AS test
# The console is tested in the Chromium of an npm package, which is for x64 and
# brings its libraries; elsewhere in Debian's.
RUN if [ "$(dpkg --print-architecture)" != amd64 ]; then \
      apt-get update && apt-get install --yes --no-install-recommends chromium; \
    fi
RUN chown node:node /app
USER node
# The dev dependency `node` is for machines with an older Node. The tests are
# to run on the Node that the service gets.
RUN --mount=type=cache,target=/home/node/.npm,uid=1000,gid=1000 \
    npm ci \
 && rm -r node_modules/node node_modules/.bin/node
COPY --chown=node:node . .
CMD ["npm", "test"]

# The last stage is the one built when none is named.
FROM ${NODE_IMAGE} AS service
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data \
    LOG_FORMAT=json
RUN install --directory --mode=700 --owner=node --group=node /data
WORKDIR /app
# Owned by root: the service cannot change its own code.
COPY --from=production /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY migrations ./migrations
COPY src ./src
# The command: `docker compose exec app orders list`. Node runs its TypeScript as
# it is, by `#!/usr/bin/env node`; `env` stays.
RUN chmod 755 src/ordersCommand.ts \
 && ln -s /app/src/ordersCommand.ts /usr/local/bin/orders
# What the service never runs, and an intruder would like to: npm and its kind,
# and shells. So nothing is run in a shell from here on: Node removes them itself,
# and there is no entry point in between.
RUN ["node", "-e", "\
  const { readdirSync, rmSync } = require('node:fs'); \
  const unwanted = /^(npm|npx|corepack|yarn|yarnpkg|pnpm|pnpx|sh|bash|rbash|dash|docker-entrypoint\\.sh)$/; \
  const remove = (path) => rmSync(path, { recursive: true, force: true }); \
  for (const folder of ['/bin', '/usr/bin', '/usr/local/bin']) \
    for (const name of readdirSync(folder)) \
      if (unwanted.test(name)) remove(folder + '/' + name); \
  for (const name of readdirSync('/opt')) if (/^yarn/.test(name)) remove('/opt/' + name); \
  remove('/usr/local/lib/node_modules'); \
  remove('/usr/lib/node_modules');"]
ENTRYPOINT []
# The user `node`, by number: Kubernetes' runAsNonRoot reads no names.
USER 1000:1000
EXPOSE 8000
# Whether the process answers, not whether the database does: a restart, which
# is what some orchestrators make of "unhealthy", does not bring that back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1))"]
# No shell and no npm in between: Node is process 1 and gets SIGTERM itself.
# Its memory grows less far before it is collected, as with `npm start`.
CMD ["node", "--max-semi-space-size=32", "--heap-growing-percent=60", "src/main.ts"]
