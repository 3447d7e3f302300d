# The images of nstore, one target each: coordinator, worker-api, worker-browser, simulator.
#
#   docker build --target worker-api -t nstore-worker-api .
#
# Plain instructions only: the classic builder and BuildKit both take them.

ARG RUST_IMAGE=rust:1-slim-bookworm
ARG DEBIAN_IMAGE=debian:bookworm-slim

# All dependencies, in a layer that stays until a manifest changes: the manifests are real, the programs are empty.
FROM ${RUST_IMAGE} AS dependencies
ARG PROFILE=release
ENV CARGO_INCREMENTAL=0 \
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=true \
    CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_STRIP=true \
    CARGO_TARGET_DIR=/build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY coordinator/Cargo.toml coordinator/
COPY shared/Cargo.toml shared/
COPY tests/Cargo.toml tests/
COPY worker/Cargo.toml worker/
RUN for room in coordinator shared worker; do mkdir $room/src && touch $room/src/lib.rs; done \
    && mkdir tests/simulator tests/bench && touch tests/lib.rs \
    && for program in coordinator/src/main worker/src/main tests/simulator/main tests/bench/main tests/testbed; do \
           echo 'fn main() {}' >$program.rs; \
       done \
    && cargo build --locked --profile "$PROFILE" -p nstore-worker --no-default-features \
    && cargo build --locked --profile "$PROFILE" --bin nstore --bin nstore-worker --bin simulator \
    && cargo clean --locked --profile "$PROFILE" -p nstore -p nstore-shared -p nstore-tests -p nstore-worker

# The programs. The worker that asks APIs only has no browser code in it.
FROM dependencies AS programs
ARG PROFILE=release
COPY coordinator coordinator
COPY deploy deploy
COPY shared shared
COPY tests tests
COPY worker worker
RUN built=/build/$(test "$PROFILE" = dev && echo debug || echo "$PROFILE") && mkdir /programs \
    && cargo build --locked --profile "$PROFILE" -p nstore-worker --no-default-features \
    && mv "$built/nstore-worker" /programs/nstore-worker-api \
    && cargo build --locked --profile "$PROFILE" --bin nstore --bin nstore-worker --bin simulator \
    && mv "$built/nstore" "$built/nstore-worker" "$built/simulator" /programs/ \
    && rm -rf /build

# What all images stand on. The user has the same number in all of them: they may share a volume.
FROM ${DEBIAN_IMAGE} AS base
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
    && groupadd --gid 10001 nstore \
    && useradd --uid 10001 --gid nstore --home-dir /tmp --no-create-home --shell /usr/sbin/nologin nstore \
    && install -d -o nstore -g nstore -m 0700 /var/lib/nstore
ENV NSTORE_CONFIG=/etc/nstore NSTORE_HEALTH_FILE=/tmp/nstore.health
WORKDIR /var/lib/nstore
USER nstore

FROM base AS worker-api
COPY --from=programs /programs/nstore-worker-api /usr/local/bin/nstore-worker
COPY config /etc/nstore
ENTRYPOINT ["nstore-worker"]
CMD ["--kind", "api"]

FROM base AS browser
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends chromium fonts-liberation \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
USER nstore

FROM browser AS worker-browser
COPY --from=programs /programs/nstore-worker /usr/local/bin/
COPY config /etc/nstore
ENTRYPOINT ["nstore-worker"]
CMD ["--kind", "browser"]

FROM base AS simulator
COPY --from=programs /programs/simulator /usr/local/bin/
EXPOSE 8080
ENTRYPOINT ["simulator"]
CMD ["--address", "0.0.0.0", "--port", "8080"]

# The worker's program is here for `nstore config test-connections`, which lets it ask the sources.
FROM base AS coordinator
COPY --from=programs /programs/nstore /usr/local/bin/
COPY --from=programs /programs/nstore-worker-api /usr/local/bin/nstore-worker
COPY config /etc/nstore
ENTRYPOINT ["nstore"]
CMD ["serve"]
