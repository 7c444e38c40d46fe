from __future__ import annotations

from botocore.loaders import JSONFileLoader, Loader

from forwarder.cloudwatch.sdk_data import LeanFiles, without_documentation


def test_nothing_but_texts_is_left_out() -> None:
    lean, whole = Loader(file_loader=LeanFiles()), Loader(file_loader=JSONFileLoader())
    for service in ("logs", "kinesis", "ecs", "sts"):
        model = lean.load_service_model(service, "service-2")
        assert model == without_documentation(whole.load_service_model(service, "service-2"))
        assert "documentation" not in str(model)
    assert lean.load_data("endpoints").keys() == whole.load_data("endpoints").keys()
    assert lean.list_available_services("service-2") == whole.list_available_services("service-2")


def test_a_member_of_that_name_stays() -> None:
    shape = {"documentation": "text", "members": {"documentation": {"shape": "S"}}}
    assert without_documentation([shape]) == [{"members": {"documentation": {"shape": "S"}}}]
