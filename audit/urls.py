"""The addresses of signing in and out."""

from django.contrib import admin
from django.urls import path

from audit import views

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign_in"),
    path("sign-in/code/", views.code, name="sign_in_code"),
    path("sign-in/enrol/", views.enrol, name="sign_in_enrol"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("password/", admin.site.admin_view(views.change_password), name="change_password"),
]
