"""Text embedding models of Google's Vertex AI, over Google's own package, which handles its credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.api_keys import LATER, Key
from ..core.config_schema import TEXT, Form
from ..core.configured import ConfiguredLocally
from ..core.inputs import in_batches
from ..core.local_models import using
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "GoogleVertexEmbeddingFunction"
_VARIABLES = ("CHROMA_GOOGLE_VERTEX_API_KEY", "GOOGLE_API_KEY")


class GoogleVertexEmbeddingFunction(ConfiguredLocally, EmbeddingFunction[list[str]]):
    """Text embedding models of Vertex AI. Needs the package google-cloud-aiplatform and its credentials.

    api_key          checked, as in Chroma, and not sent: the package finds the credentials of the project
    model_name       for example "text-embedding-005"
    project_id, region  the project and the region of Google Cloud
    api_key_env_var  the environment variable with the key; its name is stored
    Sends one text per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _package = "vertexai"
    _distribution = "google-cloud-aiplatform"
    _form = Form(
        "google_vertex",
        {"api_key_env_var": TEXT, "model_name": TEXT, "project_id": TEXT, "region": TEXT},
        needed=("model_name",),
        fixed=("model_name", "project_id", "region"),
    )

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "textembedding-gecko",
        project_id: str = "cloud-large-language-models",
        region: str = "us-central1",
        api_key_env_var: str = _VARIABLES[0],
    ) -> None:
        self._need_package()
        self._set(
            {
                "api_key_env_var": api_key_env_var,
                "model_name": model_name,
                "project_id": project_id,
                "region": region,
            }
        )
        Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)

    def _set(self, config: dict[str, Any]) -> None:
        super()._set(config)
        Key(_SOURCE, LATER, config["api_key_env_var"], _VARIABLES)  # checks the name of the variable

    def __call__(self, input: list[str]) -> Vectors:
        with using(_SOURCE, self._config, self._load) as model:
            return in_batches(  # type: ignore[return-value]
                input,
                lambda texts: [found.values for found in model.get_embeddings(texts)],
                source=_SOURCE,
                limit=1,
            )

    def _load(self) -> Any:
        self._import(self._package).init(project=self._config["project_id"], location=self._config["region"])
        models = self._import("vertexai.language_models")
        return models.TextEmbeddingModel.from_pretrained(self._config["model_name"])
