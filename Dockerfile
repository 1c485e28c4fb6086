# The bot in a container: docs/deployment.md describes how to build, start and update it.
# A whole version; the digest behind it changes when Debian's packages in it are updated. docs/deployment.md: "Pin the base".
ARG PYTHON_IMAGE=python:3.12.15-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# Every file is checked by its hash, and nothing is compiled: the packages are wheels.
COPY requirements-runtime.lock ./
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary=:all: -r requirements-runtime.lock
# .dockerignore names what is copied. Readable for the bot's user, whatever the umask of the checkout was.
WORKDIR /app
COPY . .
RUN chmod -R u=rwX,go=rX . && python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${PYTHON_IMAGE}
# The wallet lock is in the home folder, so that it is on the volume too.
RUN groupadd --gid 10001 bot \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/polymarket-bot --shell /usr/sbin/nologin bot \
    && install -d -o bot -g bot -m 700 /var/lib/polymarket-bot /var/log/polymarket-bot
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATE_DIR=/var/lib/polymarket-bot/state \
    PAPER_TRADES_FILE=/var/lib/polymarket-bot/paper_trades.json \
    RECORDINGS_DIR=/var/lib/polymarket-bot/recordings \
    LOG_DIR=/var/log/polymarket-bot \
    NAUTILUS_LOG_DIR=/var/log/polymarket-bot/nautilus
WORKDIR /app
USER 10001:10001
VOLUME ["/var/lib/polymarket-bot", "/var/log/polymarket-bot"]
# The start takes seconds; a worker is replaced after RESTART_AFTER_MINUTES, and answers again a few seconds later.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "monitoring.health_check"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "runner.py"]
