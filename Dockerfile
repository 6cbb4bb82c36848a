# The image of the runtime: one static binary and the certificates to trust, nothing else.
#
#   docker build -t mission-control-runtime:local .
#   docker run --env-file .env -p 127.0.0.1:3001:3001 -v mission-control-state:/var/lib/mission-control-runtime mission-control-runtime:local
#
# Targets:
#   runtime    the default: compiles the binary in a Rust image
#   prebuilt   takes the binary and the certificates from dist/image, which `make image` fills

ARG RUST_VERSION=1.95

# What both targets have in common.
FROM scratch AS base
# A published port reaches only a server that listens on the container's network, not on its loopback address.
# Requests through that port come from the address of the Docker network, not from loopback. So they can read `/`,
# /health, /livez, /readyz, /version and /metrics. /agent/* refuses them unless AGENT_API_ALLOW names that address,
# the operator API refuses them unless OPERATOR_API_ALLOW does, and /nudge always refuses them.
ENV HEALTH_HOST=0.0.0.0 \
    STATE_DIR=/var/lib/mission-control-runtime
EXPOSE 3001
USER 65532:65532
STOPSIGNAL SIGTERM
# Whether the service answers. A failing backend does not make the container unhealthy, because a restart cannot repair
# it: `status --ready` tells. JSON, because the text contains a link with the operator token, and Docker keeps the output.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 CMD ["mission-control-runtime", "status", "--json"]
ENTRYPOINT ["/usr/local/bin/mission-control-runtime"]
CMD ["run"]

# CI builds this one. It is before the stages that need a base image from a registry.
FROM base AS prebuilt
COPY dist/image/root/ /
COPY --chown=65532:65532 dist/image/owned/ /var/lib/
VOLUME /var/lib/mission-control-runtime

# The manifests alone, with empty sources. The content of this stage, and so the cache of the dependencies, changes only
# with a manifest.
FROM rust:${RUST_VERSION}-slim-bookworm AS manifests
WORKDIR /src
COPY . .
RUN find src crates -type f ! -name Cargo.toml -delete \
    && for package in . crates/*; do mkdir -p "$package/src" && touch "$package/src/lib.rs"; done \
    && echo 'fn main() {}' > src/main.rs

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /src
# droplet: without the embedded Mission Control and the demo. full: with both.
ARG EDITION=droplet
ARG PROFILE=release
# Static glibc needs no package that the Rust image lacks.
ENV STATIC=glibc DIST=/dist
COPY --from=manifests /src ./
RUN scripts/static.sh "$EDITION"
COPY src src
COPY crates crates
ARG MCR_COMMIT=
# Cargo compares times: the sources must be newer than the empty ones.
RUN find src crates -name '*.rs' -exec touch {} + \
    && scripts/static.sh "$EDITION" \
    && scripts/image-root.sh /dist/mission-control-runtime* /image

FROM base AS runtime
COPY --from=build /image/root/ /
COPY --from=build --chown=65532:65532 /image/owned/ /var/lib/
VOLUME /var/lib/mission-control-runtime
