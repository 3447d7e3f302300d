"""What a pool of processes, or Celery, takes to fetch and to write a file for each of many days.

    field.py pool|celery LOOPS TASKS FOLDER

Writes the seconds of processor that this process and all its children have had, the start of Python included. Nothing
is loaded into a database, and nothing is retried.
"""

import csv
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import urllib.request


def day(number, folder):
    address = f"{os.environ['FIELD_URL']}?since_ms={number}&until_ms={number + 1}&offset=0&limit=250"
    with urllib.request.urlopen(address) as answer:
        orders = json.load(answer)["result"]["orders"]
    with open(os.path.join(folder, f"{number}.csv"), "w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["order_id", "created"])
        out.writerows([order["order_id"], order["created_ms"]] for order in orders)


def of_pool(loops, tasks, folder):
    with multiprocessing.Pool(loops) as pool:
        pool.starmap(day, [(number, folder) for number in range(tasks)], chunksize=1)
        pool.close()
        pool.join()


def of_celery(loops, tasks, folder):
    import celery_app

    for number in range(tasks):
        celery_app.one.delay(number, folder)
    command = [sys.executable, "-W", "ignore", "-m", "celery", "--quiet", "-A", "celery_app", "worker", "--loglevel",
               "ERROR", "--without-gossip", "--without-mingle", "--concurrency", str(loops)]
    worker = subprocess.Popen(command, cwd=os.path.dirname(os.path.abspath(__file__)), stdout=subprocess.DEVNULL)
    while len(os.listdir(folder)) < tasks:
        assert worker.poll() is None, "the worker ended in the middle"
        time.sleep(0.05)
    worker.terminate()
    worker.wait()


if __name__ == "__main__":
    which, loops, tasks, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    {"pool": of_pool, "celery": of_celery}[which](loops, tasks, folder)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(sum(one.ru_utime + one.ru_stime for one in used))
