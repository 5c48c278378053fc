"""Containers on Google Cloud from Apache Airflow: run, awaited, cancelled and explained."""
