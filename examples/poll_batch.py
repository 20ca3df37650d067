"""Upload a batch of files into a vector store, with a progress bar.

Needs a server: `rxassist serve`, then `RXASSIST_BASE_URL=http://127.0.0.1:8765/v1`.
"""

from rich.progress import Progress

from rxassist import Client
from rxassist.models import FileCounts

FILES = [(f"page-{number}.txt", f"This is page {number}.".encode()) for number in range(20)]


def finished(counts: FileCounts) -> int:
    """How many files are through, well or not."""
    return counts.completed + counts.failed + counts.cancelled


def main() -> None:
    with Client() as client, Progress() as progress:
        store = client.vector_stores.create(name="pages").run()
        bar = progress.add_task("files", total=len(FILES))
        batches = client.vector_stores.file_batches
        polling = batches.upload_and_poll(store.id, files=FILES, max_concurrency=5)
        for batch in polling:
            progress.update(bar, completed=finished(batch.file_counts))
        ended = polling.run()
        print(f"{ended.status}: {ended.file_counts.completed} files")


if __name__ == "__main__":
    main()
