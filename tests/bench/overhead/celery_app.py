"""The task of Celery, under the setting by which a worker's death loses none."""

import os

import celery

import field

app = celery.Celery("celery_app", broker=os.environ["FIELD_REDIS_URL"])
app.conf.update(task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(name="overhead.one")
def one(number, folder):
    field.day(number, folder)
