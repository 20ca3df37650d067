"""Subscribe with callbacks: several views of one run, which is created once.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rxassist import Client
from rxassist.models import RunStep, ToolCall


def on_tool_call(call: ToolCall) -> None:
    print(f"tool call: {call.type}")


def on_step(step: RunStep) -> None:
    print(f"step: {step.type} {step.status}")


def main() -> None:
    with Client() as client:
        assistant = client.assistants.create(
            model="scripted", tools=[{"type": "code_interpreter"}]
        ).run()
        question = {"role": "user", "content": "Please calculate 6 * 7 with code."}
        stream = client.threads.create_and_run_stream(
            assistant_id=assistant.id, thread={"messages": [question]}
        )
        stream.tool_calls.subscribe(on_tool_call)
        stream.run_steps.subscribe(on_step)
        stream.messages.subscribe(lambda message: print(f"message: {message.status}"))
        stream.until_done()
        print(stream.snapshot.text)


if __name__ == "__main__":
    main()
