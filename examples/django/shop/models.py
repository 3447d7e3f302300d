"""The tables of shop.sqlite; lib/database.py makes them, not Django."""

from django.db import models


class Order(models.Model):
    order_id = models.CharField(max_length=32, primary_key=True)
    customer_id = models.CharField(max_length=32)
    order_status = models.CharField(max_length=20)
    order_purchase_timestamp = models.DateTimeField()
    order_approved_at = models.DateTimeField(null=True)
    order_delivered_carrier_date = models.DateTimeField(null=True)
    order_delivered_customer_date = models.DateTimeField(null=True)
    order_estimated_delivery_date = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "orders"


class Payment(models.Model):
    # the table's key has two columns, and the admin wants one
    rowid = models.BigAutoField(primary_key=True)
    order = models.ForeignKey(Order, models.DO_NOTHING)
    payment_sequential = models.IntegerField()
    payment_type = models.CharField(max_length=20)
    payment_installments = models.IntegerField()
    payment_value = models.DecimalField(max_digits=12, decimal_places=2)

    class Meta:
        managed = False
        db_table = "order_payments"
