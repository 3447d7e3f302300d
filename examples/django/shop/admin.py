"""The admin's two lists, 100 rows a page, and the URLs: nothing but the admin."""

from django.contrib import admin
from django.urls import path

from shop.models import Order, Payment


class List(admin.ModelAdmin):
    list_per_page = 100
    empty_value_display = ""  # by default `-`, which some text could be


@admin.register(Order)
class Orders(List):
    list_display = [field.name for field in Order._meta.fields]
    date_hierarchy = "order_purchase_timestamp"
    ordering = ["order_purchase_timestamp"]


@admin.register(Payment)
class Payments(List):
    list_display = ["order_id", "payment_sequential", "payment_type", "payment_installments", "payment_value",
                    "order__order_purchase_timestamp"]
    list_select_related = ["order"]
    date_hierarchy = "order__order_purchase_timestamp"
    ordering = ["rowid"]


urlpatterns = [path("admin/", admin.site.urls)]
