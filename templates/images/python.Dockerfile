# Python, in the same words for three images: BuildKit does this step once for all of them.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates {{ python }} {{ python }}-venv \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
