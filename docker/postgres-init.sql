-- Runs once, when the volume is empty.
create database airflow;
create database mlflow;
