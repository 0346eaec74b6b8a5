# Two images from one build:
#   docker build --target lambda -t notegate-lambda .     the handler, under Lambda's own runtime
#   docker build --target server -t notegate .            uvicorn; notes in /data or in DynamoDB

FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt /
# Wheels with known hashes only: nothing is compiled here, so there is no compiler.
RUN pip install --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes --target /app -r /requirements.txt
COPY app /app/app
# Bytecode that is taken as it is: nobody can write it later, and nobody changes the source.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM build AS build-lambda
# Lambda's runtime interface client, for x86_64 and arm64, and what it needs.
RUN printf '%s\n' \
    'awslambdaric==4.2.2 --hash=sha256:2215bca01bbdbdfa9579bb4204f55d3e91e6dee589b88f8f9d20a285a790c468 --hash=sha256:bd3ebafddd6c3283a2c7f121164f304273256c7fe3f9847be44d0c5f6fd2d792' \
    'simplejson==4.3.0 --hash=sha256:48d5d79d723300b49f18bbd88d786c0410cc58b869c121024a132e2e49f9cf35' \
    'snapshot-restore-py==1.0.0 --hash=sha256:38f99e696793790f54658e71c68c7a8a40cea877c81232b5052383b1301aceba' \
    > /lambda.txt \
    && pip install --no-cache-dir --no-compile --no-deps --only-binary :all: --require-hashes --target /app -r /lambda.txt \
    && python -m compileall -q --invalidation-mode unchecked-hash /app

FROM python:3.13-slim AS runtime
ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

FROM runtime AS lambda
COPY --from=build-lambda /app /app
USER 65534:65534
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["app.lambda_handler.handler"]

FROM runtime AS server
COPY --from=build /app /app
# The one folder that it may write to.
RUN install -d -o 65534 -g 65534 /data
VOLUME /data
WORKDIR /data
USER 65534:65534
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
# At SIGTERM: no new connections, and what is under way gets 8 of the 10 seconds that Docker gives.
CMD ["python", "-m", "uvicorn", "app.main:app", "--host", "0.0.0.0", "--port", "8000", "--no-server-header", "--timeout-graceful-shutdown", "8"]
