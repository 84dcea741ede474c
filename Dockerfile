# syntax=docker/dockerfile:1
# Two stages: build with Rust, run without. The result holds one binary and runs as a user without rights.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# Kafka's client is built from source.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++=4:* make=4.* \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked --package flagstream --features full \
    && cp /target/release/flagstream /flagstream \
    && mkdir --mode=0700 /data /data/shared

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /flagstream /usr/local/bin/flagstream
# The volume's owner must be the user that runs (65532), or the first start cannot write; nobody else may read it.
COPY --from=build --chown=65532:65532 /data /data
VOLUME ["/data"]
EXPOSE 8080
ENV FLAGSTREAM_LISTEN=0.0.0.0:8080 \
    FLAGSTREAM_DATA=/data
# A non-loopback address needs read or admin keys: start with -e FLAGSTREAM_ADMIN_KEYS=admin-…
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["flagstream", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["flagstream"]
CMD ["up"]
