"""docs/kubernetes.yaml and docs/kserve.yaml are what Kubernetes takes, and name what the server has."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from onnxrank.serve.http.settings import Settings

ROOT = Path(__file__).parents[3]
MANIFESTS: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "docs" / "kubernetes.yaml").read_text()))
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS}
KSERVE: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "kserve.yaml").read_text())
# What a predictor has besides the fields of a pod.
REPLICAS = {"minReplicas", "maxReplicas"}


@pytest.mark.parametrize("kind", ["Deployment", "Service", "HorizontalPodAutoscaler"])
def test_each_object_matches_its_schema(kind: str) -> None:
    kubernetes_validate.validate(BY_KIND[kind], kubernetes_validate.latest_version(), strict=True)


def test_kserves_predictor_is_a_pod() -> None:
    assert (KSERVE["apiVersion"], KSERVE["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = KSERVE["spec"]["predictor"]
    pod = {name: value for name, value in predictor.items() if name not in REPLICAS}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": KSERVE["metadata"], "spec": pod}
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_wrong_object_does_not() -> None:
    service = {**BY_KIND["Service"], "spec": {"ports": "80"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, kubernetes_validate.latest_version(), strict=True)


def test_names_agree_with_each_other_and_with_the_server() -> None:
    deployment, service, scaler = (BY_KIND[kind]["spec"] for kind in BY_KIND)
    pod = deployment["template"]
    assert service["selector"] == deployment["selector"]["matchLabels"] == pod["metadata"]["labels"]
    routes = (ROOT / "runtime" / "serve" / "http" / "about.py").read_text()
    for spec in (pod["spec"], KSERVE["spec"]["predictor"]):
        (container,) = spec["containers"]
        assert container["ports"][0]["containerPort"] == Settings().port
        assert spec["terminationGracePeriodSeconds"] > Settings().drain
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert f'"{container[probe]["httpGet"]["path"]}"' in routes
    metric = scaler["metrics"][0]["pods"]["metric"]["name"]
    assert f'"{metric}"' in (ROOT / "runtime" / "serve" / "observation" / "metrics.py").read_text()
