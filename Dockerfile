# x3spatial on a CPU: docker build -t x3spatial . && docker run --rm -v "$PWD:/data" x3spatial scenes root
#
# --build-arg EXTRAS=render,roborefer adds models (TORCH: the torch that pip then installs, the CPU build).
# Packages have the pinned versions of requirements/constraints.txt. The command runs as the user 1000.
ARG PYTHON=3.11
FROM python:${PYTHON}-slim AS build
ARG EXTRAS=render
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /source
RUN python -m venv /venv
COPY requirements/constraints.txt requirements/
COPY pyproject.toml README.md LICENSE MANIFEST.in ./
COPY src src
RUN /venv/bin/pip install --no-cache-dir --constraint requirements/constraints.txt \
      --extra-index-url "${TORCH_INDEX}" ".[${EXTRAS}]"

FROM python:${PYTHON}-slim
LABEL org.opencontainers.image.title="x3spatial" \
      org.opencontainers.image.source="https://github.com/x3spatial/x3spatial" \
      org.opencontainers.image.licenses="Apache-2.0 AND MIT"
COPY --from=build /venv /venv
RUN useradd --uid 1000 --create-home x3
USER 1000
WORKDIR /data
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
ENTRYPOINT ["x3"]
CMD ["--help"]
