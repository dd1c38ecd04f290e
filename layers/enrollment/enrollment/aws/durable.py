"""The steps of a durable execution, by AWS's SDK.  What they return is kept, so an interrupted execution goes on."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_durable_execution_sdk_python import DurableContext
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryStrategyConfig, create_retry_strategy
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision

type Tell = Callable[[str, Mapping[str, Any]], None]

# An outage of AWS is waited for: about a day.
RETRIES = create_retry_strategy(
    RetryStrategyConfig(max_attempts=150, initial_delay=Duration.from_seconds(2), max_delay=Duration.from_minutes(10))
)


class DurableSteps:
    """The steps of an execution.

    Args:
        context: The execution's context.
        tell: Gets the name of each step that was run, and its result.
    """

    def __init__(self, context: DurableContext, tell: Tell = lambda *_: None) -> None:
        self._context = context
        self._tell = tell

    def run(self, name: str, function: Callable[[], Any]) -> Any:
        """Run a function at least once, and return its result, which is JSON."""

        def step(_: object) -> Any:
            result = function()
            self._tell(name, {"result": result})
            return result

        return self._context.step(step, name=name, config=StepConfig(retry_strategy=RETRIES))

    def wait(self, name: str, seconds: int) -> None:
        """Wait.  It costs nothing: AWS invokes the function again afterwards."""
        self._context.wait(Duration.from_seconds(seconds), name=name)

    def poll(self, name: str, look: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
        """Look until something has ended, and return what the last look found.

        It is one operation of the execution, however often it looks: AWS allows an execution 3,000.

        Args:
            name: Its name.
            look: Gets what it returned before, at first an empty dictionary.  It returns JSON with ``wait_seconds``,
                which is ``None`` at the end.
        """

        def decide(found: dict[str, Any], _: int) -> WaitForConditionDecision:
            if found["wait_seconds"] is None:
                return WaitForConditionDecision.stop_polling()
            return WaitForConditionDecision.continue_waiting(Duration.from_seconds(found["wait_seconds"]))

        config = WaitForConditionConfig[dict[str, Any]](wait_strategy=decide, initial_state={})
        return self._context.wait_for_condition(lambda found, _: look(found), config, name=name)
