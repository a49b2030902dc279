"""Where gateways, proxies and API clients write what of a request: LiteLLM, Helicone, OpenRouter, OpenAI's own objects.

Each list is in order of preference; the first place that has a value in the file's beginning is the one that counts.
"""

from __future__ import annotations

from groundswell.formats._json_values import Path


def _paths(*dotted: str) -> tuple[Path, ...]:
    return tuple(tuple(text.split(".")) for text in dotted)


START = _paths(
    *("startTime", "start_time", "started_at", "request_start_time", "request_created_at", "request_timestamp"),
    *("request_time", "timestamp", "@timestamp", "time", "time_iso8601", "datetime", "ts", "request.timestamp"),
    *("created_at", "createdAt", "created", "response.created", "response.body.created", "response.created_at"),
)
"""When a request came; OpenAI's ``created`` is when the reply began, so it comes last."""

DURATIONS = {("request_time",), ("time",), ("ts",)}
"""Some logs mean how long a request took (nginx's ``$request_time``); as a time these are only taken if dated."""

BODIES = ("", "usage.", "response.usage.", "response.body.usage.", "response_body.usage.", "completion.usage.")
"""Where the counts of a request stand together."""

INPUT = ("prompt_tokens", "input_tokens", "native_tokens_prompt", "tokens_prompt", "promptTokens", "inputTokens")
OUTPUT = (
    *("completion_tokens", "output_tokens", "native_tokens_completion", "tokens_completion"),
    *("completionTokens", "outputTokens"),
)
CACHE = ("cache_read_input_tokens", "cache_creation_input_tokens")
"""Anthropic's: tokens of the prompt that ``input_tokens`` does not count."""
REASON = (
    *("completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens"),
    *("reasoning_tokens", "native_tokens_reasoning"),
)
ITEMS = {
    "image_tokens": ("prompt_tokens_details.image_tokens", "input_tokens_details.image_tokens"),
    "audio_tokens": ("prompt_tokens_details.audio_tokens", "input_tokens_details.audio_tokens"),
}
"""Counted within the tokens of the prompt."""

USER = _paths(
    *("user", "user_id", "end_user", "end_user_id", "customer_identifier", "request_user_id", "helicone_user"),
    *("metadata.user_id", "metadata.user", "metadata.end_user", "metadata.user_api_key_end_user_id"),
    *("metadata.user_api_key_user_id", "request.user", "request.body.user", "request_body.user", "body.user"),
)
KEY_NAME = _paths(
    *("metadata.user_api_key_alias", "api_key_alias", "key_alias", "key_name", "api_key_name", "token_name"),
)
KEY = _paths(
    *("api_key", "user_api_key", "api_key_hash", "key_hash", "metadata.user_api_key_hash", "api_key_id", "key_id"),
    *("key", "token_id", "metadata.user_api_key", "metadata.api_key"),
)
"""Keys: what becomes of one is a hash."""
TEAM = _paths("team_alias", "metadata.user_api_key_team_alias", "team_id", "metadata.user_api_key_team_id")

CONVERSATION = _paths(
    *("conversation_id", "session_id", "thread_id", "litellm_session_id", "metadata.session_id"),
    *("metadata.conversation_id", "metadata.thread_id", "request_properties.Helicone-Session-Id"),
)
MODEL = _paths(
    *("model", "request_model", "model_id", "model_name", "response_model", "request.model", "response.model"),
    *("request.body.model", "response.body.model", "request_body.model", "response_body.model", "body.model"),
)
STATUS = _paths(
    *("status_code", "response_status", "http_status", "status", "response.status_code", "response.status"),
)
ERROR = _paths("error", "error_message", "error_str", "exception", "response.error", "error_information.error_code")
