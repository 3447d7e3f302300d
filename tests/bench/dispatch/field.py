"""What Celery and RQ dispatch and complete of tasks that do nothing.

    field.py celery-prefork|celery-threads|rq REDIS_URL LOOPS TASKS

Puts the tasks in, starts so many loops that take them, and writes the tasks a second, from the first one taken to
the last one done.
"""

import os
import signal
import subprocess
import sys
import time

import celery
import redis
import rq

app = celery.Celery("field", broker=os.environ.get("FIELD_REDIS_URL", ""))
# the setting under which a worker's death loses no task; all else as it comes
app.conf.update(task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(name="field.nothing_late")
def nothing_late():
    pass


def nothing():
    pass


def rate(waiting, under_way, lives, tasks):
    """Tasks a second; the first two ask Redis for a number, the third whether a worker still lives."""
    while waiting() == tasks:
        assert lives(), "the worker ended before it took anything"
        time.sleep(0.001)
    started, first = time.monotonic(), tasks - waiting()
    while waiting() or under_way():
        assert lives(), "the worker ended in the middle"
        time.sleep(0.002)
    return (tasks - first) / (time.monotonic() - started)


def of_celery(pool, client, loops, tasks):
    for _ in range(tasks):
        nothing_late.delay()
    command = [sys.executable, "-W", "ignore", "-m", "celery", "--quiet", "-A", "field", "worker", "--loglevel", "ERROR",
               "--without-gossip", "--without-mingle", "--pool", pool, "--concurrency", str(loops)]
    worker = subprocess.Popen(command, cwd=os.path.dirname(__file__), stdout=subprocess.DEVNULL)
    lives = lambda: worker.poll() is None
    try:
        return rate(lambda: client.llen("celery"), lambda: client.hlen("unacked"), lives, tasks)
    finally:
        worker.terminate()
        worker.wait()


def of_rq(url, client, loops, tasks):
    import field

    queue = rq.Queue("field", connection=client)
    queue.enqueue_many([rq.Queue.prepare_data(field.nothing, result_ttl=0) for _ in range(tasks)])
    workers = []
    for _ in range(loops):
        pid = os.fork()
        if pid == 0:
            own = redis.Redis.from_url(url)
            rq.SimpleWorker([rq.Queue("field", connection=own)], connection=own).work(logging_level="ERROR")
            os._exit(0)
        workers.append(pid)
    try:
        lives = lambda: os.waitpid(workers[0], os.WNOHANG) == (0, 0)
        return rate(lambda: client.llen("rq:queue:field"), lambda: client.zcard("rq:wip:field"), lives, tasks)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        for pid in workers:
            os.waitpid(pid, 0)


def main():
    which, url, loops, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    client = redis.Redis.from_url(url)
    system, _, pool = which.partition("-")
    print(of_celery(pool, client, loops, tasks) if system == "celery" else of_rq(url, client, loops, tasks))


if __name__ == "__main__":
    main()
