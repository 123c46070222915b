"""Reads what models' clients take and return, of any provider: content, usage, finish reasons, prices.

read.py               a response of any provider, recognized by its shape, into `Response`
plain.py              the short way to do so, for the answers that are usual
messages.py           messages, system instructions and tools of a request, in the GenAI convention's shapes
stream.py             a proxy for a stream, and the joining of its chunks
anthropic.py          Anthropic's Messages API: Message, content blocks, stream events
openai_chat.py        chat and text completions, OpenAI's and those of compatible APIs, and their chunks
openai_responses.py   OpenAI's Responses API: Response, items, stream events
others.py             providers with an API of their own, and what frameworks make of an answer, by tables of names
span_content.py       messages, answers, arguments and results in the attributes of other libraries' spans; LiteLLM's requests
failures.py           the error that a provider reports inside its answer
parts.py              the GenAI convention's message parts
usage.py              token counts and reported costs of each provider
pricing.py            the cost of tokens: the user's prices, or those of ``genai-prices``
price_data.py         the data of ``genai-prices``, read without importing it
fields.py             reading of fields of objects that may be of any type
"""
