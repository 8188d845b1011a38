# One image, many roles: the workers of a service, its HTTP routes, the carrier simulator, provisioning. What is said
# after `docker run IMAGE` is a Python module and its arguments, for example
#
#     libs.common.hosts.run contacts --health-port 8081
#     libs.common.hosts.run --all --http 8080 --no-worker
#     libs.simulator --host 0.0.0.0
#
# The target `emulator` is a second image, for local use only: the embedded AWS, which plays Cognito beside LocalStack.
# Any base with Python 3.11 or newer and its venv module will do.
ARG BASE=python:3.13-slim

# -- tools that only building needs ------------------------------------------------------------------------------------
FROM ${BASE} AS tools
# Whom to trust is the base's decision: a company with a certificate authority of its own puts it there.
ENV UV_LINK_MODE=copy UV_NO_CACHE=1 UV_NO_PROGRESS=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1
WORKDIR /build
COPY requirements/bootstrap.txt ./
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --require-hashes -r bootstrap.txt \
 && /opt/tools/bin/uv venv --quiet --python "$(command -v python3)" /opt/venv

FROM tools AS emulator-parts
COPY requirements/emulator.txt ./
RUN /opt/tools/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python /opt/venv/bin/python emulator.txt

FROM tools AS platform-parts
COPY requirements/run.txt ./
RUN /opt/tools/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python /opt/venv/bin/python run.txt
COPY deploy /app/deploy
COPY libs /app/libs
COPY services /app/services
# The code is never written to, so its bytecode need not look whether it is current.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /app

# -- what is run -------------------------------------------------------------------------------------------------------
# Nobody in particular, who may write to /tmp alone (and, for provisioning, to /provisioned): a read-only root will do.
FROM ${BASE} AS run
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN mkdir /provisioned && chown 10001:10001 /provisioned
WORKDIR /app
STOPSIGNAL SIGTERM

FROM run AS emulator
COPY --from=emulator-parts /opt/venv /opt/venv
COPY deploy/local/emulator.py deploy/containers/health_check.py /app/
USER 10001:10001
ENTRYPOINT ["python", "/app/emulator.py"]

FROM run AS platform
COPY --from=platform-parts /opt/venv /opt/venv
COPY --from=platform-parts /app /app
# Which build this is (a commit); logs and dead letters tell it.
ARG BUILD=""
ENV WECARE_BUILD=$BUILD
USER 10001:10001
# The workers' one; who serves something else says so (docker-compose.localstack.yml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-I", "/app/deploy/containers/health_check.py", "8081/"]
ENTRYPOINT ["python", "-m"]
CMD ["libs.common.hosts.run", "--all", "--health-port", "8081"]
