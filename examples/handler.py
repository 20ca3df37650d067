"""An event handler: callbacks under the names that the official SDK gave them.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import AssistantEventHandler, Client
from rxassist.models import RunStep, Text, TextDelta, ToolCall


class Printer(AssistantEventHandler):
    """Prints what the assistant does while it does it."""

    def on_tool_call_created(self, tool_call: ToolCall) -> None:
        print(f"tool: {tool_call.type}")

    def on_text_delta(self, delta: TextDelta, snapshot: Text) -> None:
        print(delta.value or "", end="", flush=True)

    def on_text_done(self, text: Text) -> None:
        print(f"\n{len(text.value)} characters")

    def on_run_step_done(self, run_step: RunStep) -> None:
        print(f"step: {run_step.type} {run_step.status}")


def main() -> None:
    with Client() as client:
        tools = [{"type": "code_interpreter"}]
        assistant = client.assistants.create(model="scripted", tools=tools).run()
        question = {"role": "user", "content": "Please calculate 6 * 7 with code."}
        with client.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [question]}, event_handler=Printer()
        ) as stream:
            stream.until_done()


if __name__ == "__main__":
    main()
